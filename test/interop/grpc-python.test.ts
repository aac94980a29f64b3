import { hasTool } from "../support/tools.ts";
import { installGrpcPython, PYTHON } from "./grpc-python.ts";
import { describeSmoke } from "./smoke.ts";

const isThere = [PYTHON].every((tool) => hasTool(tool));
describeSmoke("grpcio", isThere ? await installGrpcPython() : undefined);
