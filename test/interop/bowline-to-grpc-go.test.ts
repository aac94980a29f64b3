import { afterAll, beforeAll, describe } from "vitest";
import { freePort } from "../support/free-port.ts";
import { hasTool } from "../support/tools.ts";
import { CASES, TRANSPORTS } from "./cases.ts";
import { clientOptions } from "./certificates.ts";
import { executeCase } from "./client-cases.ts";
import { buildGrpcGo, GO, serveGrpcGo } from "./grpc-go.ts";
import { testCase } from "./known-failures.ts";
import type { ServerProcess } from "./programs.ts";
import { SuiteClient } from "./suite-client.ts";

const DIRECTION = "Bowline to grpc-go";
const goes = hasTool(GO);
const programs = goes ? await buildGrpcGo("server") : { official: "", mutual: "" };

describe.skipIf(!goes)(DIRECTION, () => {
  describe.each(TRANSPORTS)("%s", (transport) => {
    let server: ServerProcess;
    let port: number;
    beforeAll(async () => {
      port = await freePort();
      server = await serveGrpcGo(programs, transport, port);
    });
    afterAll(() => server.stop());

    for (const name of CASES) {
      testCase(name, DIRECTION, transport, async () => {
        using client = new SuiteClient(port, clientOptions(transport));
        await executeCase(name, client);
      });
    }
  });
});
