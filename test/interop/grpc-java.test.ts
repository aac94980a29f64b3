import { hasTool } from "../support/tools.ts";
import { installGrpcJava, JAVA, MAVEN } from "./grpc-java.ts";
import { describeSmoke } from "./smoke.ts";

const isThere = [JAVA, MAVEN].every((tool) => hasTool(tool));
describeSmoke("grpc-java", isThere ? await installGrpcJava() : undefined);
