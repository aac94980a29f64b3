import fc from "fast-check";
import type { Random } from "../../src/core/random.ts";
import { Breaker, type BreakerTransition } from "../../src/policy/breaker.ts";
import type { BreakerPermit, BreakerUse } from "../../src/policy/breaker-permit.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { BreakerModel, type Forced, type ModelPermit, type ModelSettings, toBreakerOptions } from "./breaker-model.ts";
import { passing, pick, same, sameFields, which, within } from "./histories.ts";

/** What happens to a breaker. */
export type BreakerStep =
  | { readonly do: "begin"; readonly use: BreakerUse }
  | { readonly do: "settle"; readonly which: number; readonly how: "success" | "failure" | "ignore" }
  | { readonly do: "call"; readonly how: "success" | "failure"; readonly times: number }
  | { readonly do: "force"; readonly how: Forced }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "wait" };

const use = fc.constantFrom<BreakerUse>({}, {}, {}, { slowMs: 1 }, { slowMs: 50, givenUp: "ignored" });
const how = fc.constantFrom("success", "failure", "failure", "ignore");
const ends = fc.constantFrom<"success" | "failure">("success", "failure");
const forced = fc.constantFrom<Forced>("forceOpen", "forceClosed", "disable", "reset", "reset", "reset");

export const breakerStep: fc.Arbitrary<BreakerStep> = fc.oneof(
  { weight: 6, arbitrary: use.map((use) => ({ do: "begin" as const, use })) },
  { weight: 7, arbitrary: fc.tuple(which, how).map(([which, how]) => ({ do: "settle" as const, which, how })) },
  { weight: 6, arbitrary: fc.tuple(ends, fc.nat(7)).map(([how, times]) => ({ do: "call" as const, how, times })) },
  { weight: 4, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
  { weight: 3, arbitrary: fc.constant({ do: "wait" as const }) },
  { weight: 1, arbitrary: forced.map((how) => ({ do: "force" as const, how })) },
);

const percent = fc.constantFrom(1, 7, 29, 50, 50, 80, 100);
/** A breaker's settings, most of them extreme. */
export const settings: fc.Arbitrary<ModelSettings> = fc.record({
  failurePercent: percent,
  slowPercent: percent,
  slowMs: fc.constantFrom(0, 20, Number.POSITIVE_INFINITY),
  windowMs: fc.constantFrom(1_000, 10_000, 3_600_000, Number.POSITIVE_INFINITY),
  windowCalls: fc.constantFrom(undefined, undefined, 1, 3, 8),
  minimumCalls: fc.integer({ min: 1, max: 5 }),
  openMs: fc.constantFrom(1, 500, 5_000),
  maxOpenMs: fc.constantFrom(500, 4_000, 60_000),
  trials: fc.integer({ min: 1, max: 5 }),
  trialTimeoutMs: fc.constantFrom(250, 5_000, 60_000),
});

/** Chance of which half is the middle, so that open times are often over to the millisecond. */
function roundedRandom(seed: number): Random {
  const random = seededRandom(seed);
  return () => Math.max(random(), 0.5);
}

/** A breaker beside its model; a permit keeps its number in both. */
export class ComparedBreaker {
  readonly breaker: Breaker;
  readonly #model: BreakerModel;
  readonly #settings: ModelSettings;
  readonly #permits: { readonly of: BreakerPermit; readonly inModel: ModelPermit }[] = [];
  readonly #told: BreakerTransition[] = [];
  #now: number;

  /** @param meddles whether whoever is told of a change settles every permit that was ever given. */
  constructor(settings: ModelSettings, now: number, seed: number, meddles: boolean) {
    this.#settings = settings;
    this.#now = now;
    const listen = (told: BreakerTransition) => {
      this.#told.push(told);
      if (meddles) this.#settleAll();
    };
    this.breaker = new Breaker(toBreakerOptions(settings), { now: () => this.#now }, roundedRandom(seed), listen);
    this.#model = new BreakerModel(settings, roundedRandom(seed));
  }

  take(step: BreakerStep): void {
    if (step.do === "begin") this.#begin(step.use);
    if (step.do === "settle") this.#settle(pick(this.#permits, step.which), step.how);
    if (step.do === "call") for (let n = 0; n < step.times; n += 1) this.call(step.how);
    if (step.do === "force") this.force(step.how);
    if (step.do === "pass") this.pass(step.ms);
    if (step.do === "wait") this.pass(Math.ceil(this.breaker.snapshot().retryAfterMs ?? 0));
  }

  call(how: "success" | "failure"): void {
    this.#settle(this.#begin({}), how);
  }

  force(how: Forced): void {
    this.breaker[how]();
    this.#model.force(how);
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  /** All is well again. @returns how many rounds of trials it takes until it is closed; at most three are made. */
  recover(): number {
    const { trials } = this.#settings;
    const state = () => this.breaker.snapshot().state;
    if (/forced|disabled/.test(state())) this.force("reset");
    let rounds = 0;
    for (; rounds < 3 && state() !== "closed"; rounds += 1) {
      this.pass(100_000);
      for (let n = 0; n < trials; n += 1) this.call("success");
      this.check();
    }
    return rounds;
  }

  /** Looks, twice; it shows the same as its model both times. */
  check(): void {
    const snapshot = this.breaker.snapshot();
    sameFields(snapshot, this.#model.snapshot(this.#now));
    sameFields(this.breaker.snapshot(), snapshot);
    within("trials under way", snapshot.trials, 0, this.#settings.trials);
  }

  /** Each open time is within its bounds, and each change begins where the one before ended. */
  checkTold(): void {
    const { openMs, maxOpenMs } = this.#settings;
    const most = Math.max(Math.min(openMs, maxOpenMs), maxOpenMs) * 1.2;
    let from = "closed";
    for (const told of this.#told) {
      same("a change's begin", told.from, from);
      same("whether an open time is told", told.openMs !== undefined, told.to === "open");
      if (told.openMs !== undefined) within("open time", told.openMs, Math.min(openMs, maxOpenMs) * 0.8, most);
      from = told.to;
    }
  }

  #begin(use: BreakerUse): { of: BreakerPermit; inModel: ModelPermit } | undefined {
    const of = this.breaker.tryAcquire(use);
    const inModel = this.#model.acquire(this.#now, use);
    same("whether a call passes", of.granted, inModel !== undefined);
    if (!of.granted || !inModel) return undefined;
    const permit = { of, inModel };
    this.#permits.push(permit);
    return permit;
  }

  #settle(permit: { of: BreakerPermit; inModel: ModelPermit } | undefined, how: "success" | "failure" | "ignore") {
    permit?.of[how]();
    if (permit) this.#model.settle(permit.inModel, how, this.#now);
  }

  /** To no effect, in the model neither: all of them are of a state that is over. */
  #settleAll(): void {
    for (const { of } of this.#permits) of.failure();
  }
}
