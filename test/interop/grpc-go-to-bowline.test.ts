import { mtls } from "bowline/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hasTool } from "../support/tools.ts";
import { CASES, type Case, TRANSPORTS } from "./cases.ts";
import { listenOptions, SERVER_NAME } from "./certificates.ts";
import { buildGrpcGo, GO, programFor, runClient } from "./grpc-go.ts";
import { testCase, testUnable } from "./known-failures.ts";
import { runProgram } from "./programs.ts";
import { SCOPE, ServiceAccount } from "./service-account.ts";
import { serveSuite } from "./test-server.ts";

type Suite = Awaited<ReturnType<typeof serveSuite>>;

/** Cases that are served by a server which wants to know who calls. */
const WITH_CREDENTIALS = /_creds$|^oauth2_/;

/** For whom grpc-go's clients sign their tokens: the server that they dial, by its certificate. */
const AUDIENCE = `https://${SERVER_NAME}/`;

const flagsFor = ({ keyFile }: ServiceAccount) => ["-service_account_key_file", keyFile, "-oauth_scope", SCOPE];

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
    const { server, port } = await serveSuite(listenOptions(transport));
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await runClient(programs.official, "empty_unary", transport, port);
  });

  test("mTLS: a client without a certificate is refused", async () => {
    const { server, port } = await serveSuite(listenOptions("mTLS"));
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await expect(runClient(programs.official, "empty_unary", "TLS", port)).rejects.toThrow(/code = Unavailable/);
  });

  test("mTLS: the client is known by its certificate, where a server asks who calls", async () => {
    const { server, port } = await serveSuite(listenOptions("mTLS"), [mtls({ trustDomains: ["test"] })]);
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await runClient(programs.mutual, "empty_unary", "mTLS", port);
  });

  test("TLS: a token that a stranger signed is refused", async () => {
    using account = await ServiceAccount.create();
    using stranger = await ServiceAccount.create();
    const { server, port } = await serveSuite(listenOptions("TLS"), account.authenticators(AUDIENCE));
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    await runClient(programs.official, "jwt_token_creds", "TLS", port, flagsFor(account));
    const refused = runClient(programs.official, "jwt_token_creds", "TLS", port, flagsFor(stranger));
    await expect(refused).rejects.toThrow(/code = Unauthenticated/);
  });

  describe.each(TRANSPORTS)("%s", (transport) => {
    let account: ServiceAccount;
    let suite: Suite;
    let secured: Suite;
    beforeAll(async () => {
      account = await ServiceAccount.create();
      suite = await serveSuite(listenOptions(transport));
      secured = await serveSuite(listenOptions(transport), account.authenticators(AUDIENCE));
    });
    afterAll(async () => {
      account[Symbol.dispose]();
      for (const { server } of [suite, secured]) {
        expect(await server.drain({ timeoutMs: 5_000 })).toEqual({ abandoned: 0 });
      }
    });

    for (const name of CASES) {
      testCase(name, DIRECTION, transport, () => {
        const program = programFor(programs, transport);
        if (!WITH_CREDENTIALS.test(name)) return runClient(program, name, transport, suite.port);
        return runClient(program, name, transport, secured.port, flagsFor(account));
      });
    }
  });
});
