import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hasTool } from "../support/tools.ts";
import { CASES, type Case, TRANSPORTS } from "./cases.ts";
import { listenOptions } from "./certificates.ts";
import { buildGrpcGo, GO, programFor, runClient } from "./grpc-go.ts";
import { testCase, testUnable } from "./known-failures.ts";
import { runProgram } from "./programs.ts";
import { SCOPE, ServiceAccount } from "./service-account.ts";
import { serveSuite } from "./test-server.ts";

const DIRECTION = "grpc-go to Bowline";
const goes = hasTool(GO);
const programs = goes ? await buildGrpcGo("client") : { official: "", mutual: "" };

describe.skipIf(!goes)(DIRECTION, () => {
  test("knows every case that grpc-go's client has", async () => {
    const help = await runProgram(programs.official, ["-help"]);
    const named = [...help.matchAll(/^\s+(\w+) ?: \S/gm)].map(([, name]) => name);
    expect(named).toContain("empty_unary");
    expect(named.filter((name) => !CASES.includes(name as Case))).toEqual([]);
  });

  testUnable(DIRECTION, async (transport) => {
    const { server, port } = await serveSuite(listenOptions(transport), () => "nobody");
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await runClient(programs.official, "empty_unary", transport, port);
  });

  test("mTLS: a client without a certificate is refused", async () => {
    const { server, port } = await serveSuite(listenOptions("mTLS"), () => "nobody");
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await expect(runClient(programs.official, "empty_unary", "TLS", port)).rejects.toThrow(/code = Unavailable/);
  });

  describe.each(TRANSPORTS)("%s", (transport) => {
    let account: ServiceAccount;
    let suite: Awaited<ReturnType<typeof serveSuite>>;
    beforeAll(async () => {
      account = await ServiceAccount.create();
      suite = await serveSuite(listenOptions(transport), (context) => account.authenticate(context));
    });
    afterAll(async () => {
      account.close();
      expect(await suite.server.drain({ timeoutMs: 5_000 })).toEqual({ abandoned: 0 });
    });

    for (const name of CASES) {
      testCase(name, DIRECTION, transport, () => {
        const credentials = name.endsWith("_creds") || name === "oauth2_auth_token";
        const flags = ["-service_account_key_file", account.keyFile, "-oauth_scope", SCOPE];
        return runClient(programFor(programs, transport), name, transport, suite.port, credentials ? flags : []);
      });
    }
  });
});
