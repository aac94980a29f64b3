import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import type { Credentials, Sent } from "../../../src/client/credentials/credentials.ts";
import { composeStream, composeUnary } from "../../../src/client/pipeline.ts";
import { methodLayers } from "../../../src/client/policy-layers/method-layers.ts";
import { contract } from "../../../src/contract/contract.ts";
import type { MethodPolicy, ServicePolicy } from "../../../src/contract/policy.ts";
import type { Layer } from "../../../src/core/call.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aClientState } from "../../support/client-state.ts";
import { forms } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aMethod, ScriptedStream } from "../../support/scripted.ts";

const token = (value: string): Sent => ({ authorization: `Bearer ${value}` });
const patient = {
  timeoutMs: 10_000,
  retry: { maxAttempts: 3, attemptTimeoutMs: 100 },
  breaker: { slowMs: 100, minimumCalls: 20 },
  bulkhead: { maxConcurrent: 1 },
};

/** What a contract asks for, around attempts whose credentials the test gives out. */
function allowing(policy: MethodPolicy = patient, service: ServicePolicy = {}) {
  const clock = fakeClock();
  const state = aClientState({ clock });
  const asked: PromiseWithResolvers<Sent>[] = [];
  const headers = () => {
    const one = Promise.withResolvers<Sent>();
    asked.push(one);
    return one.promise;
  };
  const credentials: Credentials = { forCall: () => ({ partition: "p", headers }) };
  const of = contract({
    ...{ definition: OrderServiceDefinition, cursors: {}, descriptors: () => "" },
    ...{ service, methods: { getOrder: policy, watchOrders: policy } },
  });
  const layersOf = (key: "getOrder" | "watchOrders", kind: "unary" | "server-stream") => {
    const method = aMethod(kind, { idempotency: "NO_SIDE_EFFECTS", path: "/a.Service/Get" });
    return methodLayers(of, key, method, { credentials }, state);
  };
  const layer: Layer = {
    unary: (next, method) => {
      const attempt = { unary: next, stream: () => new ScriptedStream() };
      const handler = composeUnary(layersOf("getOrder", "unary"), attempt, method);
      return (call) => handler({ ...call, startedAt: clock.now() });
    },
    stream: (next, method) => {
      const attempt = { unary: () => expect.unreachable("a stream"), stream: next };
      const handler = composeStream(layersOf("watchOrders", "server-stream"), attempt, method);
      return (call) => handler({ ...call, startedAt: clock.now() });
    },
  };
  const breaker = state.breaker("/a.Service/Get", {});
  const { throttling } = state.retryShare;
  const give = async (index: number) => {
    asked[index]?.resolve(token(`t${index + 1}`));
    await clock.advance(0);
  };
  return { layer, clock, state, asked, give, counts: () => breaker.snapshot(), tokens: () => throttling.snapshot() };
}

describe.each(forms)("%s", (_, drive) => {
  test("the wait for a token is not the target's time: it is neither slow nor too late", async () => {
    const { layer, clock, asked, give, counts, tokens } = allowing();
    const driven = drive(layer);
    await clock.advance(1_500);
    expect([driven.calls.length, asked.length, counts().calls]).toEqual([0, 1, 0]);
    await give(0);
    expect(driven.calls).toMatchObject([{ attempt: 1, startedAt: 1_500, headers: token("t1") }]);
    await clock.advance(99);
    driven.reply("order");
    expect(await driven.outcome).toBe("order");
    expect(counts()).toMatchObject({ calls: 1, failures: 0, slow: 0 });
    expect([tokens().tokens, clock.pending]).toEqual([tokens().maxTokens, 0]);
  });

  test("nor does who waits for one take anybody's place", async () => {
    const { layer, give } = allowing();
    const [first, second] = [drive(layer), drive(layer)];
    await give(1);
    expect([first.calls.length, second.calls.length]).toEqual([0, 1]);
    second.reply("order");
    expect(await second.outcome).toBe("order");
    await give(0);
    first.reply("another");
    expect(await first.outcome).toBe("another");
  });

  test.each<[string, Sent, string]>([
    [
      "a text",
      { authorization: "s3cr3t\n" },
      'the credential "authorization" cannot be sent: a text has printable ASCII alone; bytes go under a key that ends in -bin',
    ],
    ["bytes", { "x-bin": "s3cr3t" }, 'the credential "x-bin" cannot be sent: a key that ends in -bin takes bytes'],
    [
      "a key of gRPC's",
      { "grpc-timeout": "s3cr3t" },
      `the credential "grpc-timeout" cannot be sent: "grpc-timeout" is gRPC's own`,
    ],
  ])("what cannot be sent is named, and never quoted: %s", async (_, sent, message) => {
    const { layer, asked } = allowing();
    const driven = drive(layer);
    asked[0]?.resolve(sent);
    const error = await rejection(driven.outcome);
    expect(error).toMatchObject({ reason: "NO_CREDENTIALS", attempts: 0, cause: { message } });
    expect(inspect(error)).not.toContain("s3cr3t");
    expect(driven.calls).toEqual([]);
  });

  test("who has left already, and a client that is closed, ask for none", async () => {
    const { layer, state, asked } = allowing();
    expect(await rejection(drive(layer, { signal: AbortSignal.abort("gone") }).outcome)).toBe("gone");
    state.close();
    expect(await rejection(drive(layer).outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 0 });
    expect(asked).toEqual([]);
  });

  test("a call whose deadline passes in that wait was never sent, and says nothing of the target", async () => {
    const { layer, clock, counts, tokens } = allowing({ ...patient, timeoutMs: 1_000 });
    const driven = drive(layer);
    await clock.advance(1_000);
    const error = await rejection(driven.outcome);
    expect(error).toMatchObject({ reason: "DEADLINE_BEFORE_SEND", attempts: 0 });
    expect(driven.calls).toEqual([]);
    expect(counts()).toMatchObject({ calls: 0 });
    expect([tokens().tokens, clock.pending]).toEqual([tokens().maxTokens, 0]);
  });
});
