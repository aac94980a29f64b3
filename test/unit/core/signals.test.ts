import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { linkSignals } from "../../../src/core/signals.ts";

const listeners = (controller: AbortController) => getEventListeners(controller.signal, "abort").length;

describe("linkSignals", () => {
  const aborted = AbortSignal.abort("gone");
  const live = new AbortController().signal;
  const other = new AbortController().signal;

  test.each([
    ["none of none", undefined, undefined, undefined],
    ["the first alone", live, undefined, live],
    ["the second alone", undefined, live, live],
    ["one given twice", live, live, live],
    ["the first if it aborted before", aborted, live, aborted],
    ["the second if it aborted before", live, aborted, aborted],
  ])("makes %s, and leaves nothing to clean up", (_, a, b, expected) => {
    const { signal, cleanup } = linkSignals(a, b);
    expect(signal).toBe(expected);
    expect(cleanup).toBeUndefined();
  });

  test("makes a third of two that live", () => {
    const { signal, cleanup } = linkSignals(live, other);
    expect(signal?.aborted).toBe(false);
    expect([live, other]).not.toContain(signal);
    cleanup?.();
  });

  test.each([0, 1])("aborts with the reason of whichever aborts first: signal %i", (first) => {
    const pair = [new AbortController(), new AbortController()] as const;
    const { signal, cleanup } = linkSignals(pair[0].signal, pair[1].signal);
    const reason = new Error("first");
    pair[first]?.abort(reason);
    pair[1 - first]?.abort(new Error("second"));
    expect(signal?.reason).toBe(reason);
    cleanup?.();
    expect(pair.map(listeners)).toEqual([0, 0]);
  });

  test("after cleanup it follows neither", () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const { signal, cleanup } = linkSignals(a.signal, b.signal);
    cleanup?.();
    cleanup?.();
    a.abort();
    b.abort();
    expect(signal?.aborted).toBe(false);
  });
});
