import { expect, test } from "vitest";
import { EndListeners, type ServedContext, type ServedEnd } from "../../../src/core/served-call.ts";
import { FixedLimit } from "../../../src/policy/fixed-limit.ts";
import { Shedder } from "../../../src/policy/shedding.ts";
import { OPENING_MS, shedLayer } from "../../../src/server/layers/shed.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aMethod } from "../../support/scripted.ts";

/** A gate with room for one, in front of a method whose handler never answers. */
function setUp(kind: "unary" | "client-stream") {
  const clock = fakeClock();
  const shedder = new Shedder({ maxQueued: 0, loopDelayMs: 100 }, new FixedLimit(1), clock);
  const layer = shedLayer({
    ...{ shedder, maxWaitMs: 10, clock, random: () => 0.5, observer: undefined },
    loopDelayMs: () => 0,
  });
  const method = aMethod(kind);
  const ends = new EndListeners();
  const onEnd = (listener: (end: ServedEnd) => void) => ends.add(listener);
  const context = { method, deadlineAt: Number.POSITIVE_INFINITY, onEnd };
  const serve = layer.unary(() => new Promise(() => {}), method);
  return { clock, shedder, ends, serve: () => void serve("request", context as unknown as ServedContext) };
}

const counted = (shedder: Shedder) => shedder.snapshot().running;

test("a client's stream counts while it is opened, for a second at most: its upload is no work of the server's", async () => {
  const { clock, shedder, serve } = setUp("client-stream");
  serve();
  await clock.advance(OPENING_MS - 1);
  expect(counted(shedder)).toBe(1);
  await clock.advance(1);
  expect(counted(shedder)).toBe(0);
});

test("a client's stream that ends before that counts no longer, and leaves no timer", () => {
  const { clock, shedder, ends, serve } = setUp("client-stream");
  serve();
  ends.tell({ outcome: "ok" });
  expect(counted(shedder)).toBe(0);
  expect(clock.pending).toBe(0);
});

test("a unary call counts until its handler has ended", async () => {
  const { clock, shedder, ends, serve } = setUp("unary");
  serve();
  await clock.advance(10 * OPENING_MS);
  expect(counted(shedder)).toBe(1);
  ends.tell({ outcome: "ok" });
  expect(counted(shedder)).toBe(0);
});

test.each(["unary", "client-stream"] as const)(
  "%s: a call that had ended before its turn came counts as nothing",
  async (kind) => {
    const { clock, shedder, ends, serve } = setUp(kind);
    ends.tell({ outcome: "cancelled" });
    serve();
    expect(counted(shedder)).toBe(0);
    expect(clock.pending).toBe(0);
  },
);
