import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { test } from "vitest";
import { type Driven, forms, listenersOf } from "../support/driven.ts";
import { historyOf, pick, same, which, within } from "../support/histories.ts";
import { isolating } from "../support/isolating.ts";
import { aFailure } from "../support/retrying.ts";

const HISTORIES = 1_000;

type Step =
  | { readonly do: "call"; readonly deadlineMs: number }
  | { readonly do: "answer" | "fail" | "leave"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 30, 100)
      .map((deadlineMs) => ({ do: "call" as const, deadlineMs })),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom("answer" as const, "fail" as const, "leave" as const), which)
      .map(([what, which]) => ({ do: what, which })),
  },
  { weight: 2, arbitrary: fc.constantFrom(1, 29, 30, 50, 100).map((ms) => ({ do: "pass" as const, ms })) },
);

interface Made {
  readonly driven: Driven;
  readonly controller: AbortController;
  over: boolean;
}

const sent = ({ driven }: Made) => driven.calls.length > 0;
const underWay = (made: readonly Made[]) => made.filter((one) => sent(one) && !one.over);

test.each(forms)(
  "%s calls that are answered, fail, leave and expire in any order leave no permit, place, timer or listener behind",
  async (_, drive) => {
    const room = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(4));
    await fc.assert(
      fc.asyncProperty(
        room,
        fc.boolean(),
        historyOf(step, 30),
        async ([maxConcurrent, maxQueued], limited, history) => {
          const bulkhead = { maxConcurrent, maxQueued, ...(maxQueued > 0 && { maxWaitMs: 50 }) };
          const adaptiveLimit = limited ? { initialLimit: 2, minLimit: 1, maxLimit: 3 } : undefined;
          const { layer, clock, state } = isolating("bulkhead", { bulkhead, adaptiveLimit });
          const most = Math.min(maxConcurrent, limited ? 3 : maxConcurrent);
          const made: Made[] = [];
          const order: Made[] = [];
          const call = (deadlineMs: number) => {
            const controller = new AbortController();
            const driven = drive(layer, { signal: controller.signal, deadline: clock.now() + deadlineMs });
            const one: Made = { driven, controller, over: false };
            driven.outcome.then(
              () => (one.over = true),
              () => (one.over = true),
            );
            made.push(one);
          };
          const end = (one: Made, how: "answer" | "fail" | "leave") => {
            if (how === "answer") one.driven.reply("order");
            if (how === "fail") one.driven.fail(aFailure());
            if (how !== "leave") return;
            one.controller.abort("gone");
            if (sent(one)) one.driven.abort("gone");
          };
          const look = () => {
            within("under way", underWay(made).length, 0, most);
            for (const one of made) if (sent(one) && !order.includes(one)) order.push(one);
          };
          for (const step of history) {
            if (step.do === "call") call(step.deadlineMs);
            else if (step.do === "pass") await clock.advance(step.ms);
            else {
              const among = step.do === "leave" ? made.filter((one) => !one.over) : underWay(made);
              const one = pick(among, step.which);
              if (one) end(one, step.do);
            }
            look();
            // Every other step comes in the same turn as the one before.
            if (step.do !== "call") await setImmediate();
            look();
          }
          for (let rest = underWay(made); rest.length > 0; rest = underWay(made)) {
            for (const one of rest) end(one, "answer");
            await setImmediate();
            look();
          }
          same("calls that are not over", made.filter(({ over }) => !over).length, 0);
          for (const [n, one] of made.filter(sent).entries()) same("whose turn it was", order[n], one);
          same("timers", clock.pending, 0);
          same("listeners", listenersOf(state.closed), 0);
          for (const { controller } of made) same("listeners", listenersOf(controller.signal), 0);
          const before = made.length;
          const free = Math.min(maxConcurrent, limited ? state.adaptiveLimit({}).snapshot().limit : maxConcurrent);
          for (let n = 0; n < free; n += 1) call(Number.POSITIVE_INFINITY);
          same("room in the end", made.slice(before).filter(sent).length, free);
        },
      ),
      { numRuns: HISTORIES },
    );
  },
);
