import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { breakerLayer } from "../../../src/client/layers/breaker.ts";
import { isolationLayers } from "../../../src/client/policy-layers/isolation-layers.ts";
import { failureCodes } from "../../../src/contract/resolve.ts";
import type { Layer } from "../../../src/core/call.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aClientState } from "../../support/client-state.ts";
import { type Drive, forms, startingNow } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";

/** A breaker for which 100 ms are slow, around a bulkhead for one call with a queue for one, as in the pipeline. */
function guarded(slowMs = 100) {
  const stalls = { ms: 0 };
  const clock = Object.assign(fakeClock(), { stalledMs: () => stalls.ms });
  const state = aClientState({ clock });
  const breaker = state.breaker("/test.Service/unary", { minimumCalls: 20, slowMs });
  const codes = failureCodes();
  const outer = breakerLayer({ breaker, codes, slowMs, clock, waits: state.waits, report: undefined });
  const inner = isolationLayers({ bulkhead: { maxConcurrent: 1, maxQueued: 1 } }, "/a.Service/Get", state).bulkhead;
  const layer: Layer = {
    unary: (next, method) => outer.unary(inner?.unary(next, method) ?? next, method),
    stream: (next, method) => outer.stream(inner?.stream(next, method) ?? next, method),
  };
  return { layer: startingNow(layer, clock), clock, breaker, stalls };
}

/** A call that is sent when it has waited for 300 ms, in some of which the process stood still. */
async function sentLate(drive: Drive, changes = {}, slowMs?: number, stalledMs = 0) {
  const set = guarded(slowMs);
  const first = drive(set.layer);
  const driven = drive(set.layer, changes);
  await set.clock.advance(300);
  set.stalls.ms += stalledMs;
  first.fail(new TypeError("says nothing"));
  await rejection(first.outcome);
  await setImmediate();
  expect(driven.calls.length).toBe(1);
  return { ...set, driven };
}

describe.each(forms)("%s", (_, drive) => {
  test.each([
    [100, 0],
    [101, 1],
  ])("a call that waited and then took %d ms is %d slow ones", async (ms, slow) => {
    const { driven, clock, breaker } = await sentLate(drive);
    await clock.advance(ms);
    driven.reply("order");
    await driven.outcome;
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0, slow });
  });

  test.each([
    [399, 0],
    [400, 1],
  ])("a deadline of %d ms, of which 300 were waited, counts as %d failures", async (deadline, failures) => {
    const { driven, clock, breaker } = await sentLate(drive, { deadline });
    await clock.advance(deadline - 300);
    driven.fail(aFailure({ code: 4, reason: "DEADLINE_EXCEEDED" }));
    await rejection(driven.outcome);
    expect(breaker.snapshot()).toMatchObject({ calls: failures, failures });
  });

  test.each([
    [99, 0],
    [100, 1],
  ])("%d ms after a wait in which the process stood still, time that runs out is %d failures", async (ms, failures) => {
    const controller = new AbortController();
    const changes = { deadline: 300 + ms, signal: controller.signal };
    const ends: ((driven: ReturnType<Drive>) => void)[] = [
      (driven) => driven.fail(aFailure({ code: 4, reason: "DEADLINE_EXCEEDED" })),
      (driven) => {
        controller.abort(new DOMException("the time is over", "TimeoutError"));
        driven.abort(controller.signal.reason);
      },
    ];
    for (const end of ends) {
      const { driven, clock, breaker } = await sentLate(drive, changes, 100, 90);
      await clock.advance(ms);
      end(driven);
      await rejection(driven.outcome);
      expect(breaker.snapshot()).toMatchObject({ calls: failures, failures });
    }
  });

  test("rejections count as nothing, and give a trial's place back", async () => {
    const { layer, breaker } = guarded();
    for (let n = 0; n < 2; n += 1) drive(layer);
    for (let n = 0; n < 20; n += 1) {
      expect(await rejection(drive(layer).outcome)).toMatchObject({ reason: "BULKHEAD_FULL" });
    }
    expect(breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
  });

  test.each([100, Number.POSITIVE_INFINITY])(
    "a caller whose time is over while it waits says nothing; %d ms are slow",
    async (slowMs) => {
      const { layer, clock, breaker } = guarded(slowMs);
      drive(layer);
      const controller = new AbortController();
      const waiting = drive(layer, { signal: controller.signal });
      await clock.advance(500);
      controller.abort(new DOMException("the time is over", "TimeoutError"));
      expect(await rejection(waiting.outcome)).toMatchObject({ name: "TimeoutError" });
      expect(breaker.snapshot()).toMatchObject({ calls: 0 });
    },
  );
});
