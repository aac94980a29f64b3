import { readFileSync } from "node:fs";

/** What a pattern finds in a file of this folder; it must be there. */
function pinned(path: string, pattern: RegExp): string {
  const version = pattern.exec(readFileSync(new URL(path, import.meta.url), "utf8"))?.[1];
  if (version === undefined) throw new Error(`test/interop/${path} pins no version`);
  return version;
}

/** The versions that are executed, each where its own tools look for it. */
export const VERSIONS = {
  "grpc-go": pinned("go/go.mod", /^\s*google\.golang\.org\/grpc v(\S+)/m),
  grpcio: pinned("python/requirements.txt", /^grpcio==(\S+)/m),
  "grpc-java": pinned("java/pom.xml", /<grpc\.version>([^<]+)/),
};
