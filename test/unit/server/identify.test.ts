import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { type CallContext, currentCall, identify, runInCall } from "../../../src/core/call-context.ts";
import type { Identity } from "../../../src/core/identity.ts";
import { NiceContext } from "../../../src/server/nice-context.ts";
import { ServerContext } from "../../../src/server/server-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { ScriptedArrival } from "../../support/incoming.ts";
import { aMethod } from "../../support/scripted.ts";

const nice = () => ({
  metadata: new Metadata(),
  peer: "10.0.0.7:5123",
  header: new Metadata(),
  trailer: new Metadata(),
  signal: new AbortController().signal,
  sendHeader: () => {},
});
const contexts: [string, () => CallContext][] = [
  ["createServer", () => new ServerContext(aMethod(), new ScriptedArrival().call, fakeClock())],
  ["serverMiddleware", () => new NiceContext(aMethod(), undefined as never, nice(), fakeClock())],
];

describe.each(contexts)("under %s", (_, make) => {
  test("the caller is its address until it is identified, and then whoever it is said to be", () => {
    const context = make();
    expect(context.identity).toEqual({ key: "peer:10.0.0.7", source: "peer" });
    const identity: Identity = { key: "token:u-1", source: "token" };
    identify(context, identity);
    expect(context.identity).toBe(identity);
    expect(runInCall(context, () => currentCall()?.identity)).toBe(identity);
    expect({ ...context }.identity).toBe(identity);
  });
});
