import { join } from "node:path";
import { writeDescriptors } from "./descriptors.ts";
import { installOnce, runProgram, startServer } from "./programs.ts";
import type { Peer } from "./smoke.ts";
import { VERSIONS } from "./versions.ts";

/** What must be on the PATH to run grpc-java, which is installed out of java/pom.xml. */
export const JAVA = { name: "javac", install: "a JDK 17 or later, such as apt install default-jdk-headless" };

/** What takes grpc-java out of its registry. */
export const MAVEN = { name: "mvn", install: "Maven, such as apt install maven" };

const sources = join(import.meta.dirname, "java");
const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** A client makes a few calls and ends: what a virtual machine optimises for long runs is lost on it. */
const START_FAST = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/**
 * Installs grpc-java, and compiles what runs on it.
 *
 * @throws Error with what Maven or the compiler says, such as when the registry cannot be reached.
 */
export async function installGrpcJava(): Promise<Peer> {
  const folder = await installOnce(`grpc-java-${VERSIONS["grpc-java"]}`, ["java"], async (jars) => {
    const quiet = ["-q", "-B", COPY, `-DoutputDirectory=${jars}`, "-DincludeScope=runtime"];
    await runProgram("mvn", quiet, { cwd: sources, timeoutMs: 300_000 });
    const names = ["Suite.java", "SmokeServer.java", "SmokeClient.java"];
    const javac = ["-encoding", "UTF-8", "-d", jars, "-cp", join(jars, "*"), ...names];
    await runProgram("javac", javac, { cwd: sources, timeoutMs: 120_000 });
  });
  const path = `${folder}:${join(folder, "*")}`;
  const image = join(folder, "suite.binpb");
  await writeDescriptors(image);
  return {
    async runClient(name, port) {
      await runProgram("java", [...START_FAST, "-cp", path, "SmokeClient", image, String(port), name]);
    },
    startServer: (port) => startServer("java", [...START_FAST, "-cp", path, "SmokeServer", image, String(port)], port),
  };
}
