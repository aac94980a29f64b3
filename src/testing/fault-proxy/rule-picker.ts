import { seededRandom } from "../seeded-random.ts";
import type { Which } from "./rules.ts";

/** A rule that takes a connection or a call. */
export interface Picked<Rule> {
  readonly rule: Rule;
  /** Where it stands in the script, from 0. */
  readonly index: number;
  /** From 0 to 7: chance that belongs to this choice. */
  readonly bit: number;
}

/** Says which rule takes what comes. The same seed, and the same order of what comes, give the same choices. */
export class RulePicker<Rule extends Which> {
  readonly #rules: readonly Counted<Rule>[];

  /** @param rules with their places in the script. */
  constructor(rules: readonly { readonly rule: Rule; readonly index: number }[], seed: number) {
    this.#rules = rules.map(({ rule, index }) => new Counted(rule, index, seed));
  }

  /** Whether there is any rule. */
  get empty(): boolean {
    return this.#rules.length === 0;
  }

  /** The first rule that takes it; every rule that it is for counts it. */
  pick(isFor: (rule: Rule) => boolean): Picked<Rule> | undefined {
    const picked = this.#rules.filter(({ rule }) => isFor(rule)).map((one) => one.next());
    return picked.find((one) => one !== undefined);
  }
}

/** A rule with what it has counted, and chance of its own. */
class Counted<Rule extends Which> {
  readonly rule: Rule;
  readonly #index: number;
  readonly #random: () => number;
  #count = 0;

  constructor(rule: Rule, index: number, seed: number) {
    this.rule = rule;
    this.#index = index;
    this.#random = seededRandom((seed + Math.imul(index + 1, 0x9e37_79b1)) >>> 0);
  }

  next(): Picked<Rule> | undefined {
    this.#count += 1;
    // Drawn whether they are needed or not, so that the n-th choice depends on nothing but n.
    const [chance, bit] = [this.#random(), Math.floor(this.#random() * 8)];
    return takes(this.rule, this.#count, chance) ? { rule: this.rule, index: this.#index, bit } : undefined;
  }
}

function takes({ every, first, nth, ratio }: Which, count: number, chance: number): boolean {
  if (every !== undefined) return count % every === 0;
  if (first !== undefined) return count <= first;
  if (nth !== undefined) return nth.includes(count);
  return ratio === undefined || chance < ratio;
}
