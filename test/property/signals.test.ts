import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { linkSignals } from "../../src/core/signals.ts";

test("linkSignals leaves no listener on signals that outlive the work, whatever aborts when", () => {
  const moment = fc.constantFrom("before", "during", "after", "never");
  fc.assert(
    fc.property(moment, moment, fc.integer({ min: 1, max: 5 }), (whenA, whenB, calls) => {
      const [a, b] = [new AbortController(), new AbortController()];
      const at = (now: string) => {
        const due = [...(whenA === now ? [a] : []), ...(whenB === now ? [b] : [])];
        for (const controller of due) controller.abort(now);
      };
      at("before");
      const links = Array.from({ length: calls }, () => linkSignals(a.signal, b.signal));
      at("during");
      const expected = [whenA, whenB].some((when) => when === "before" || when === "during");
      expect(links.map(({ signal }) => signal?.aborted)).toEqual(links.map(() => expected));
      for (const { cleanup } of links) cleanup?.();
      expect([a, b].map(({ signal }) => getEventListeners(signal, "abort").length)).toEqual([0, 0]);
      at("after");
      expect(links.map(({ signal }) => signal?.reason === "after")).toEqual(links.map(() => false));
    }),
  );
});
