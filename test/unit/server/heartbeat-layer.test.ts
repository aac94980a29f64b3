import { describe, expect, test } from "vitest";
import { contract } from "../../../src/contract/contract.ts";
import { toMethod } from "../../../src/contract/definition.ts";
import type { ServeStream } from "../../../src/core/served-call.ts";
import { heartbeatLayer } from "../../../src/server/layers/heartbeat.ts";
import { ServerContext } from "../../../src/server/server-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { ScriptedArrival } from "../../support/incoming.ts";
import { INTERVAL_MS, Ticks, type TicksClient } from "../../support/ticks.ts";

const { methods } = Ticks.definition;
const watch = toMethod(Ticks.definition, methods.watch);
const get = toMethod(Ticks.definition, methods.get);

const silent: ServeStream = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) });

/** The first heartbeat of a silent handler, and when it came. */
async function firstBeat(of: typeof Ticks) {
  const clock = fakeClock();
  const context = new ServerContext(watch, new ScriptedArrival().call, clock);
  const stream = heartbeatLayer(of, clock).stream(silent, watch)({}, context)[Symbol.asyncIterator]();
  const next = stream.next().then(({ value }) => ({ value, at: clock.now() }));
  await clock.advance(20_000);
  await stream.return?.();
  return { ...(await next), pending: clock.pending };
}

describe("the heartbeats of a contract", () => {
  test("are the empty message with the field, by the contract's interval", async () => {
    expect(await firstBeat(Ticks)).toEqual({ value: { at: 0, heartbeat: true }, at: INTERVAL_MS, pending: 0 });
  });

  test("come every 10 s where it does not say", async () => {
    const { name: _, ...init } = Ticks;
    const silentOn = contract<typeof init.definition, TicksClient, object>({
      ...init,
      methods: { watch: { heartbeat: { field: "heartbeat" } }, echo: init.methods.echo },
    });
    expect(await firstBeat(silentOn)).toMatchObject({ at: 10_000 });
  });

  test("are for the methods that have them: others are handed on as they are", () => {
    const layer = heartbeatLayer({ ...Ticks, heartbeats: {} }, fakeClock());
    expect(layer.stream(silent, watch)).toBe(silent);
    const unary = async () => "ok";
    expect(heartbeatLayer(Ticks, fakeClock()).unary(unary, get)).toBe(unary);
    const { heartbeats: _, ...older } = Ticks;
    expect(heartbeatLayer(older, fakeClock()).stream(silent, watch)).toBe(silent);
  });

  test("leave the context what it is, but for a signal that ends the handler when its stream is left", async () => {
    const clock = fakeClock();
    const context = new ServerContext(watch, new ScriptedArrival().call, clock);
    const { signal } = context;
    const seen: unknown[] = [];
    const serve: ServeStream = (request, given) => {
      seen.push(request, given);
      return silent(request, given);
    };
    const stream = heartbeatLayer(Ticks, clock).stream(serve, watch)("request", context)[Symbol.asyncIterator]();
    expect(seen).toEqual(["request", context]);
    void stream.next();
    await stream.return?.();
    expect(context.signal.aborted).toBe(true);
    expect([signal.aborted, context.cancelled, context.over]).toEqual([false, false, false]);
  });

  test("a handler that throws at once does so here", () => {
    const clock = fakeClock();
    const context = new ServerContext(watch, new ScriptedArrival().call, clock);
    const error = new Error("at once");
    const serve: ServeStream = () => {
      throw error;
    };
    expect(() => heartbeatLayer(Ticks, clock).stream(serve, watch)({}, context)).toThrow(error);
    expect(clock.pending).toBe(0);
  });
});
