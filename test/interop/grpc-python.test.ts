import { describe } from "vitest";
import { hasTool } from "../support/tools.ts";
import { installGrpcPython, PYTHON } from "./grpc-python.ts";
import { describeSmoke } from "./smoke.ts";

const isThere = hasTool(PYTHON);
const peer = isThere ? await installGrpcPython() : undefined;

describe.skipIf(!peer)("grpcio", () => {
  if (peer) describeSmoke("grpcio", peer);
});
