import fc from "fast-check";
import { AdaptiveLimit, type AdaptiveLimitOptions } from "../../src/policy/adaptive-limit.ts";
import { Bulkhead, type BulkheadPermit } from "../../src/policy/bulkhead.ts";
import { passing, pick, same, which, within } from "./histories.ts";

/** What happens to two methods of a target. */
export type BulkheadStep =
  | { readonly do: "call"; readonly method: number; readonly leavesAtOnce: boolean }
  | { readonly do: "leave" | "again"; readonly which: number }
  | { readonly do: "end"; readonly which: number; readonly how: "success" | "dropped" | "timedOut" | "ignore" | "none" }
  | { readonly do: "adjust"; readonly method: number; readonly to: AdjustedBulkhead }
  | { readonly do: "limit"; readonly least: number; readonly more: number }
  | { readonly do: "pass"; readonly ms: number };

/** How a bulkhead goes on. */
interface AdjustedBulkhead {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
  /** Whether the target's limit, if there is one, is its limit too. */
  readonly limited: boolean;
}

const how = fc.constantFrom("success", "success", "success", "dropped", "timedOut", "ignore", "none");

export const bulkheadStep: fc.Arbitrary<BulkheadStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.nat(1), fc.nat(7))
      .map(([method, n]) => ({ do: "call" as const, method, leavesAtOnce: n === 0 })),
  },
  { weight: 5, arbitrary: fc.tuple(which, how).map(([which, how]) => ({ do: "end" as const, which, how })) },
  { weight: 2, arbitrary: which.map((which) => ({ do: "leave" as const, which })) },
  { weight: 1, arbitrary: which.map((which) => ({ do: "again" as const, which })) },
  { weight: 2, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.nat(4))
      .map(([least, more]) => ({ do: "limit" as const, least, more })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        maxConcurrent: fc.constantFrom(1, 2, 3, 6, Number.POSITIVE_INFINITY),
        maxQueued: fc.nat(5),
        limited: fc.boolean(),
      })
      .chain((to) => fc.nat(1).map((method) => ({ do: "adjust" as const, method, to }))),
  },
);

/** How much there is room for. */
export interface BulkheadSettings {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
  /** Where the target's limit begins; 0 if it has none. */
  readonly initialLimit: number;
}

export const bulkheadSettings: fc.Arbitrary<BulkheadSettings> = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  maxQueued: fc.nat(5),
  initialLimit: fc.nat(8),
});

interface Waiting {
  readonly method: number;
  leave(): boolean;
}

interface Running {
  readonly method: number;
  readonly permit: BulkheadPermit;
}

/** Two bulkheads that may share a limit, beside lists of what is under way and what waits. */
export class ComparedBulkheads {
  readonly #settings: BulkheadSettings;
  /** How each goes now. */
  readonly #adjusted: AdjustedBulkhead[];
  /** How many each may have under way, and waiting: as many as it has let in, where it has been narrowed since. */
  readonly #bounds = [
    { underWay: 0, queued: 0 },
    { underWay: 0, queued: 0 },
  ];
  readonly #limit: AdaptiveLimit | undefined;
  readonly #bulkheads: readonly Bulkhead[];
  /** In the order of their arrival. */
  readonly #waiting: Waiting[] = [];
  readonly #running: Running[] = [];
  readonly #over: (() => void)[] = [];
  /** How many a limit that has fallen may find under way: as many as it has let in. */
  #most = 0;
  #now: number;

  constructor(settings: BulkheadSettings, now: number) {
    const { initialLimit } = settings;
    this.#settings = settings;
    this.#adjusted = [0, 1].map(() => ({ ...settings, limited: true }));
    this.#now = now;
    const policy = limitPolicy(1, initialLimit, 10);
    this.#limit = initialLimit > 0 ? new AdaptiveLimit(policy, { now: () => this.#now }) : undefined;
    this.#bulkheads = [new Bulkhead(settings, this.#limit), new Bulkhead(settings, this.#limit)];
  }

  take(step: BulkheadStep): void {
    if (step.do === "call") this.#call(step.method, step.leavesAtOnce);
    if (step.do === "end") this.#end(pick(this.#running, step.which), step.how);
    if (step.do === "leave") this.#leave(pick(this.#waiting, step.which));
    // What is over already ends, or leaves, once more.
    if (step.do === "again") pick(this.#over, step.which)?.();
    if (step.do === "adjust") this.#adjust(step.method, step.to);
    if (step.do === "limit") this.#limit?.adjust(limitPolicy(step.least, step.least, step.least + step.more));
    if (step.do === "pass") this.#now += step.ms;
  }

  /** Nothing is lost, nothing is beyond its bound, and nobody waits for room that there is. */
  check(): void {
    const limit = this.#limit?.snapshot();
    for (const [method, bulkhead] of this.#bulkheads.entries()) {
      const { maxConcurrent, maxQueued, limited } = this.#at(method);
      const { underWay, queued } = bulkhead.snapshot();
      same("under way", underWay, this.#of(this.#running, method));
      same("waiting", queued, this.#of(this.#waiting, method));
      const bound = this.#bounds[method] ?? { underWay, queued };
      bound.underWay = Math.max(maxConcurrent, Math.min(bound.underWay, underWay));
      bound.queued = Math.max(maxQueued, Math.min(bound.queued, queued));
      within("under way", underWay, 0, bound.underWay);
      within("waiting", queued, 0, bound.queued);
      const hasRoom = !limit || !limited || limit.inFlight < limit.limit;
      if (queued > 0) same("whether one waits in vain", underWay < maxConcurrent && hasRoom, false);
    }
    if (!limit) return;
    same("under way at the target", limit.inFlight, this.#running.filter(({ permit }) => permit.limit).length);
    this.#most = Math.max(limit.limit, Math.min(this.#most, limit.inFlight));
    within("under way at the target", limit.inFlight, 0, this.#most);
  }

  /** Everything that runs or waits ends; then there is room for as much as at first. */
  endAll(): void {
    while (this.#running.length > 0) this.#end(this.#running[0], "ignore");
    same("waiting in the end", this.#waiting.length, 0);
    for (const again of this.#over) again();
    for (const method of [0, 1]) this.#adjust(method, { ...this.#settings, limited: true });
    const room = Math.min(this.#settings.maxConcurrent, this.#limit?.snapshot().limit ?? Number.POSITIVE_INFINITY);
    for (let n = 0; n < room; n += 1) this.#call(0, false);
    same("room in the end", this.#running.length, room);
  }

  #adjust(method: number, to: AdjustedBulkhead): void {
    this.#adjusted[method] = to;
    this.#bulkheads[method]?.adjust(to, to.limited ? this.#limit : undefined);
    this.#bulkheads[method]?.admit();
  }

  #at(method: number): AdjustedBulkhead {
    return this.#adjusted[method] ?? { ...this.#settings, limited: true };
  }

  #call(method: number, leavesAtOnce: boolean): void {
    const entry = this.#bulkheads[method]?.tryAcquire();
    if (!entry) return;
    if (entry.granted) {
      same("whether it went past one that waits", this.#of(this.#waiting, method), 0);
      this.#running.push({ method, permit: entry });
      return;
    }
    const full = this.#of(this.#waiting, method) >= this.#at(method).maxQueued;
    same("whether it waits", entry.queued, !full);
    if (!entry.queued) return;
    const waiting: Waiting = { method, leave: () => entry.leave() };
    entry.onTurn((permit) => this.#begin(waiting, permit));
    this.#waiting.push(waiting);
    if (leavesAtOnce) this.#leave(waiting);
  }

  #begin(waiting: Waiting, permit: BulkheadPermit): void {
    same(
      "whose turn it is",
      this.#waiting.find(({ method }) => method === waiting.method),
      waiting,
    );
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    this.#running.push({ method: waiting.method, permit });
    this.#over.push(() => same("whether it leaves after its turn", waiting.leave(), false));
  }

  #leave(waiting: Waiting | undefined): void {
    if (!waiting) return;
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    same("whether it leaves", waiting.leave(), true);
    this.#over.push(() => same("whether it leaves twice", waiting.leave(), false));
  }

  #end(running: Running | undefined, how: "success" | "dropped" | "timedOut" | "ignore" | "none"): void {
    if (!running) return;
    const { permit } = running;
    this.#running.splice(this.#running.indexOf(running), 1);
    if (how !== "none") permit.limit?.[how]();
    permit.release();
    this.#over.push(() => {
      permit.limit?.success();
      permit.release();
    });
  }

  #of(list: readonly { readonly method: number }[], method: number): number {
    return list.filter((one) => one.method === method).length;
  }
}

function limitPolicy(minLimit: number, initialLimit: number, maxLimit: number): AdaptiveLimitOptions {
  return { initialLimit, minLimit, maxLimit, tolerance: 1.5, smoothing: 1 };
}
