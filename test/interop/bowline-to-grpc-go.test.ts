import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { rejection } from "../support/orders.ts";
import { hasTool } from "../support/tools.ts";
import { CASES, TRANSPORTS } from "./cases.ts";
import { clientOptions } from "./certificates.ts";
import { executeCase } from "./client-cases.ts";
import { buildGrpcGo, GO, programFor, serveGrpcGo } from "./grpc-go.ts";
import { testCase, testUnable } from "./known-failures.ts";
import type { ServerProcess } from "./programs.ts";
import { SuiteClient } from "./suite-client.ts";

const DIRECTION = "Bowline to grpc-go";
const goes = hasTool(GO);
const programs = goes ? await buildGrpcGo("server") : { official: "", mutual: "" };

describe.skipIf(!goes)(DIRECTION, () => {
  testUnable(DIRECTION, async (transport) => {
    const server = await serveGrpcGo(programs.official, transport, await freePort());
    await server.stop();
  });

  test("mTLS: a client without a certificate is refused", async () => {
    const port = await freePort();
    const server = await serveGrpcGo(programs.mutual, "mTLS", port);
    onTestFinished(() => server.stop());
    using client = new SuiteClient(port, clientOptions("TLS"));
    expect(await rejection(client.tests.emptyCall({}))).toMatchObject({ reason: "TRANSPORT" });
  });

  describe.each(TRANSPORTS)("%s", (transport) => {
    let server: ServerProcess;
    let port: number;
    beforeAll(async () => {
      port = await freePort();
      server = await serveGrpcGo(programFor(programs, transport), transport, port);
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
