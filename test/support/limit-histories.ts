import fc from "fast-check";
import { CRITICALITIES, type Criticality } from "../../src/core/criticality.ts";
import { FixedLimit } from "../../src/policy/fixed-limit.ts";
import { SHARES, Shedder, type ShedPermit, type ShedPlace } from "../../src/policy/shedding.ts";
import { TokenBuckets } from "../../src/policy/token-bucket.ts";
import { historyOf, passing, pick, same, start, which, within } from "./histories.ts";

type Asked = { readonly do: "take"; readonly key: number } | { readonly do: "pass"; readonly ms: number };

const asked: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 4, arbitrary: fc.nat(3).map((key) => ({ do: "take" as const, key })) },
  { weight: 1, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

/** Buckets grant exactly what counted tokens do, and say the instant at which there is one. */
export function checkBuckets(numRuns: number): void {
  const rate = fc.record({
    calls: fc.constantFrom(1, 2, 4, 8),
    perMs: fc.constantFrom(8, 100, 1_000),
    burst: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(rate, start, historyOf(asked, 80), ({ calls, perMs, burst }, start, history) => {
      let now = start;
      const buckets = new TokenBuckets({ calls, perMs, burst }, { now: () => now });
      const tokenMs = perMs / calls;
      // In milliseconds of filling, which are exact.
      const filled = new Map<number, { heldMs: number; at: number }>();
      for (const step of history) {
        if (step.do === "pass") {
          now += step.ms;
          continue;
        }
        const before = filled.get(step.key) ?? { heldMs: burst * tokenMs, at: now };
        const heldMs = Math.min(burst * tokenMs, before.heldMs + now - before.at);
        const waitMs = buckets.take(String(step.key));
        same("granted", waitMs === 0, heldMs >= tokenMs);
        if (waitMs > 0) same("wait", waitMs, tokenMs - heldMs);
        filled.set(step.key, { heldMs: heldMs >= tokenMs ? heldMs - tokenMs : heldMs, at: now });
      }
    }),
    { numRuns },
  );
}

type Step =
  | { readonly do: "call"; readonly criticality: Criticality; readonly withinMs: number; readonly lagMs: number }
  | { readonly do: "end" | "leave"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const criticality = fc.constantFrom(...CRITICALITIES);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      criticality,
      withinMs: fc.constantFrom(1, 5, 20, 1_000, Number.POSITIVE_INFINITY),
      lagMs: fc.constantFrom(0, 0, 0, 0, 150, 250, 450),
    }),
  },
  { weight: 5, arbitrary: which.map((which) => ({ do: "end" as const, which })) },
  { weight: 1, arbitrary: which.map((which) => ({ do: "leave" as const, which })) },
  { weight: 2, arbitrary: fc.nat(20).map((ms) => ({ do: "pass" as const, ms })) },
);

interface Waiting {
  readonly place: ShedPlace;
  readonly order: number;
}

/** A shedder whose permits and places are counted beside it. */
class CountedShedder {
  now = 0;
  readonly permits: ShedPermit[] = [];
  readonly waiting: Waiting[] = [];
  readonly #shedder: Shedder;
  readonly #limit: number;
  readonly #maxQueued: number;
  #asked = 0;

  constructor(limit: number, maxQueued: number) {
    this.#limit = limit;
    this.#maxQueued = maxQueued;
    const clock = { now: () => this.now };
    this.#shedder = new Shedder({ maxQueued, loopDelayMs: 100 }, new FixedLimit(limit), clock);
  }

  take(step: Step): void {
    if (step.do === "pass") this.now += step.ms;
    else if (step.do === "call") this.#call(step.criticality, this.now + step.withinMs, step.lagMs);
    else if (step.do === "leave") this.#leave(pick(this.waiting, step.which));
    else this.#end(pick(this.permits, step.which));
  }

  check(): void {
    const { running, queued } = this.#shedder.snapshot();
    same("running", running, this.permits.length);
    same("queued", queued, this.waiting.length);
    within("running", running, 0, this.#limit);
    within("queued", queued, 0, this.#maxQueued);
    if (queued > 0) same("nobody waits while there is room", running, this.#limit);
  }

  #call(criticality: Criticality, deadlineAt: number, lagMs: number): void {
    const turn = this.#shedder.tryAcquire({ criticality, deadlineAt }, lagMs);
    if (turn.granted) this.permits.push(turn);
    else if (turn.queued) this.#wait(turn);
    else this.#checkRefusal(criticality, lagMs);
  }

  /** Whoever matters less comes after one that was refused, in the same state, and is refused too. */
  #checkRefusal(criticality: Criticality, lagMs: number): void {
    for (const less of CRITICALITIES.slice(0, CRITICALITIES.indexOf(criticality))) {
      const turn = this.#shedder.tryAcquire({ criticality: less, deadlineAt: Number.POSITIVE_INFINITY }, lagMs);
      same(`${less} after a refused ${criticality}`, turn.granted || turn.queued, false);
    }
    if (lagMs > 0) return;
    const usable = this.#maxQueued > 0 ? this.#limit : Math.ceil(this.#limit * SHARES[criticality]);
    within("running when it refused", this.#shedder.snapshot().running, usable, this.#limit);
  }

  #wait(place: ShedPlace): void {
    const one = { place, order: this.#asked };
    this.#asked += 1;
    this.waiting.push(one);
    place.onTurn((turn) => {
      if (turn.granted) {
        this.#checkTurn(one);
        this.permits.push(turn);
      } else if (turn.because === "expired") within("expired", place.deadlineAt, 0, this.now);
      this.#forget(one);
    });
  }

  /** It is the turn of none of the others that wait. */
  #checkTurn({ place, order }: Waiting): void {
    if (place.deadlineAt <= this.now) throw new Error("a call was run whose deadline had passed");
    const rank = (one: ShedPlace) => CRITICALITIES.indexOf(one.criticality);
    const before = this.waiting.find(
      (other) =>
        rank(other.place) > rank(place) ||
        (rank(other.place) === rank(place) &&
          (other.place.deadlineAt < place.deadlineAt ||
            (other.place.deadlineAt === place.deadlineAt && other.order < order))),
    );
    same("whose turn it was instead", before?.order, undefined);
  }

  #leave(one: Waiting | undefined): void {
    if (!one) return;
    same("left", one.place.leave(), true);
    this.#forget(one);
    same("left again", one.place.leave(), false);
  }

  #end(permit: ShedPermit | undefined): void {
    if (!permit) return;
    this.permits.splice(this.permits.indexOf(permit), 1);
    permit.success();
    permit.ignore();
  }

  #forget(one: Waiting): void {
    this.waiting.splice(this.waiting.indexOf(one), 1);
  }
}

/**
 * A shedder loses no permit and no place, keeps its bounds, lets in whose turn it is, and refuses what matters least
 * first.
 */
export function checkShedder(numRuns: number): void {
  const limit = fc.integer({ min: 1, max: 8 });
  fc.assert(
    fc.property(limit, fc.nat(5), historyOf(step, 60), (limit, maxQueued, history) => {
      const counted = new CountedShedder(limit, maxQueued);
      for (const step of history) {
        counted.take(step);
        counted.check();
      }
      while (counted.permits.length > 0) counted.take({ do: "end", which: 0 });
      counted.check();
      same("waiting at the end", counted.waiting.length, 0);
    }),
    { numRuns },
  );
}
