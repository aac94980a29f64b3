import fc from "fast-check";
import { type BudgetPermit, RetryBudget } from "../../src/policy/retry-budget.ts";
import { passing, pick, same, sameFields, which } from "./histories.ts";

/** What happens to a budget. */
export type BudgetStep =
  | { readonly do: "call"; readonly times: number }
  | { readonly do: "acquire" }
  | { readonly do: "release"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

export const budgetStep: fc.Arbitrary<BudgetStep> = fc.oneof(
  { weight: 3, arbitrary: fc.nat(12).map((times) => ({ do: "call" as const, times })) },
  { weight: 5, arbitrary: fc.constant({ do: "acquire" as const }) },
  { weight: 3, arbitrary: which.map((which) => ({ do: "release" as const, which })) },
  { weight: 2, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

const SLICE_MS = 100;

/** A budget over ten slices, beside the times of all calls and extra attempts. */
export class ComparedBudget {
  readonly #percent: number;
  readonly #minInFlight: number;
  readonly #budget: RetryBudget;
  readonly #callTimes: number[] = [];
  readonly #extraTimes: number[] = [];
  readonly #lent: BudgetPermit[] = [];
  readonly #open = new Map<BudgetPermit, number>();
  #now: number;

  /** @param percent the share, in whole per cent, so that it compares integers. */
  constructor(percent: number, minInFlight: number, now: number) {
    this.#percent = percent;
    this.#minInFlight = minInFlight;
    this.#now = now;
    const settings = { ratio: percent / 100, windowMs: 10 * SLICE_MS, minInFlight };
    this.#budget = new RetryBudget(settings, { now: () => this.#now });
  }

  take(step: BudgetStep): void {
    if (step.do === "call") for (let n = 0; n < step.times; n += 1) this.#call();
    if (step.do === "acquire") this.#acquire();
    if (step.do === "release") this.#release(pick(this.#lent, step.which));
    if (step.do === "pass") this.#now += step.ms;
  }

  /** Looks, twice; both times it shows what the lists say. */
  check(): void {
    const counts = { calls: this.#kept(this.#callTimes), extraAttempts: this.#kept(this.#extraTimes) };
    for (let looks = 0; looks < 2; looks += 1) {
      sameFields(this.#budget.snapshot(), { ...counts, inFlight: this.#underWay() });
    }
  }

  /** Gives back what is lent, and what was given back before. */
  releaseAll(): void {
    for (const permit of this.#lent) this.#release(permit);
  }

  #call(): void {
    this.#budget.call();
    this.#callTimes.push(this.#now);
  }

  #acquire(): void {
    const fits = (this.#kept(this.#extraTimes) + 1) * 100 <= this.#percent * this.#kept(this.#callTimes);
    const permit = this.#budget.tryAcquire();
    same("whether it lends", permit !== undefined, this.#underWay() < this.#minInFlight || fits);
    if (!permit) return;
    this.#extraTimes.push(this.#now);
    this.#lent.push(permit);
    this.#open.set(permit, this.#now);
  }

  #release(permit: BudgetPermit | undefined): void {
    permit?.release();
    if (permit) this.#open.delete(permit);
  }

  /** Each for no longer than the window. */
  #underWay(): number {
    return [...this.#open.values()].filter((since) => this.#now - since < 10 * SLICE_MS).length;
  }

  #kept(times: readonly number[]): number {
    const slice = (at: number) => Math.floor(at / SLICE_MS);
    return times.filter((at) => slice(at) > slice(this.#now) - 10).length;
  }
}
