import { setImmediate } from "node:timers/promises";
import { coalesceLayer } from "../../src/client/layers/coalesce.ts";
import { shareKeyOf } from "../../src/client/layers/share-key.ts";
import type { SharedReply } from "../../src/client/layers/shared-reply.ts";
import type { Call, Reply } from "../../src/core/call.ts";
import { Coalescing } from "../../src/policy/coalescing.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { listenersOf } from "./driven.ts";
import { pick } from "./histories.ts";
import { aFailure } from "./retrying.ts";
import { aCall, aReply } from "./scripted.ts";
import { aRead, ranOut } from "./sharing.ts";

interface Waiting {
  readonly key: string;
  readonly call: Call;
  readonly controller: AbortController;
  readonly outcomes: unknown[];
  /** What it must end with, once that is known. */
  expected: { readonly with: unknown } | undefined;
}

interface Below {
  readonly call: Call;
  readonly key: string;
  over: boolean;
  cancelled: boolean;
  settle(end: () => void): void;
  readonly pending: PromiseWithResolvers<Reply>;
}

const TIMEOUT_MS = 1_000;

/** Calls that share, with all that may happen to them, and what must hold of it. */
export class SharingWorld {
  readonly problems: string[] = [];
  readonly #clock = fakeClock();
  readonly #coalescing = new Coalescing<SharedReply>();
  readonly #calls: Waiting[] = [];
  readonly #below: Below[] = [];
  readonly #handler = coalesceLayer({
    coalescing: this.#coalescing,
    keyOf: (call) => shareKeyOf(call, "", {}),
    timeoutMs: TIMEOUT_MS,
    clock: this.#clock,
    report: undefined,
  }).unary((call) => this.#begin(call), aRead);

  readonly actions = {
    call: (which: number, value: number) => {
      const controller = new AbortController();
      const now = this.#clock.now();
      const deadline = now + (value % 3 === 0 ? 1 + (value % 900) : TIMEOUT_MS);
      const key = `k${which % 3}`;
      const id = this.#calls.length;
      const call = aCall({ id, method: aRead, request: key, startedAt: now, deadline, signal: controller.signal });
      const outcomes: unknown[] = [];
      this.#calls.push({ key, call, controller, outcomes, expected: undefined });
      const before = this.#live(key);
      this.#handler(call).then(
        ({ message }) => outcomes.push(message),
        (error) => outcomes.push(error),
      );
      this.#expect("who comes joins what is under way", before === undefined || this.#live(key) === before);
      this.#expect("who comes first begins", this.#live(key) !== undefined);
    },
    leave: (which: number) => {
      const call = pick(this.#calls.filter(isOpen), which);
      if (!call) return;
      call.expected = { with: `left ${call.call.id}` };
      call.controller.abort(call.expected.with);
      this.#look();
    },
    succeed: (which: number, value: number) => this.#end(which, `answer ${value}`),
    fail: (which: number) => this.#end(which, aFailure()),
    pass: async (_: number, value: number) => {
      await this.#clock.advance(value % 700);
      this.#look();
    },
    turn: async () => {
      await setImmediate();
      this.#look();
    },
  };

  /** Ends whatever is still under way. @returns what did not hold. */
  async finish(): Promise<readonly string[]> {
    for (let n = 0; this.#below.some(({ over }) => !over); n += 1) this.#end(n, "the last answer");
    await setImmediate();
    this.#look();
    for (const { call, outcomes, expected, controller } of this.#calls) {
      this.#expect(`call ${call.id} settles once: ${outcomes.length}`, outcomes.length === 1);
      this.#expect(
        `call ${call.id} ends with ${expected?.with}: ${outcomes[0]}`,
        expected !== undefined && (expected.with === outcomes[0] || isOver(outcomes[0], expected.with)),
      );
      this.#expect("no listener is left", listenersOf(controller.signal) === 0);
    }
    this.#expect("no timer is left", this.#clock.pending === 0);
    const { underWay, waiting } = this.#coalescing.snapshot();
    this.#expect(`nothing is left: ${underWay} ${waiting}`, underWay === 0 && waiting === 0);
    return this.problems;
  }

  /** A call below, which keeps its deadline, and ends when its signal aborts. */
  #begin(call: Call): Promise<Reply> {
    const key = String(call.request);
    this.#expect("one at a time for each key", this.#live(key) === undefined);
    const pending = Promise.withResolvers<Reply>();
    const onAbort = () => {
      below.cancelled = true;
      below.settle(() => pending.reject(call.signal?.reason));
      this.#expect(
        "cancelled only when all have left",
        !this.#calls.some((one) => one.key === key && isOpen(one) && this.#clock.now() < one.call.deadline),
      );
    };
    const timer = this.#clock.setTimer(call.deadline - this.#clock.now(), () => {
      const now = this.#clock.now();
      for (const one of this.#openOf(key)) if (one.call.deadline <= now) one.expected = { with: EXPIRED };
      below.settle(() => pending.reject(ranOut()));
    });
    const below: Below = {
      ...{ call, key, over: false, cancelled: false, pending },
      settle(end) {
        below.over = true;
        timer.cancel();
        call.signal?.removeEventListener("abort", onAbort);
        end();
      },
    };
    call.signal?.addEventListener("abort", onAbort);
    this.#below.push(below);
    return pending.promise;
  }

  #end(which: number, outcome: unknown): void {
    const below = pick(
      this.#below.filter(({ over }) => !over),
      which,
    );
    if (!below) return;
    for (const one of this.#openOf(below.key)) one.expected = { with: outcome };
    below.settle(() =>
      typeof outcome === "string" ? below.pending.resolve(aReply(outcome)) : below.pending.reject(outcome),
    );
  }

  /** What must hold at any time. */
  #look(): void {
    const now = this.#clock.now();
    for (const one of this.#calls) if (isOpen(one) && one.call.deadline <= now) one.expected = { with: EXPIRED };
    for (const below of this.#below.filter(({ over }) => !over)) {
      this.#expect(`somebody waits for ${below.key}`, this.#openOf(below.key).length > 0);
    }
  }

  #openOf(key: string): Waiting[] {
    return this.#calls.filter((one) => one.key === key && isOpen(one));
  }

  #live(key: string): Below | undefined {
    return this.#below.find((below) => below.key === key && !below.over);
  }

  #expect(what: string, holds: boolean): void {
    if (!holds) this.problems.push(what);
  }
}

const EXPIRED = "its deadline has passed";

function isOpen({ expected }: Waiting): boolean {
  return expected === undefined;
}

function isOver(outcome: unknown, expected: unknown): boolean {
  return expected === EXPIRED && (outcome as { reason?: string }).reason === "DEADLINE_EXCEEDED";
}
