import { describe } from "vitest";
import { hasTool } from "../support/tools.ts";
import { installGrpcJava, JAVA, MAVEN } from "./grpc-java.ts";
import { describeSmoke } from "./smoke.ts";

const isThere = [JAVA, MAVEN].every((tool) => hasTool(tool));
const peer = isThere ? await installGrpcJava() : undefined;

describe.skipIf(!peer)("grpc-java", () => {
  if (peer) describeSmoke("grpc-java", peer);
});
