import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { Attempt, Call, Reply } from "../../src/core/call.ts";
import { listenersOf } from "./driven.ts";
import { pick, same, which, within } from "./histories.ts";
import { LiveOrders, type OrderChanges } from "./live-orders.ts";
import { aFailure } from "./retrying.ts";
import { aReply, ScriptedStream } from "./scripted.ts";

const KEYS = ["getOrder", "listOrders"] as const;
type Key = (typeof KEYS)[number];

const BULKHEAD = { maxConcurrent: 2, maxQueued: 3 };
const LIMIT = { initialLimit: 3, minLimit: 1, maxLimit: 4, smoothing: 1 };

/** What the contract says. */
const CONTRACT = {
  service: { breaker: { minimumCalls: 4, openMs: 100, trials: 1 }, adaptiveLimit: LIMIT },
  methods: { getOrder: { bulkhead: BULKHEAD, retry: {} }, listOrders: { bulkhead: BULKHEAD, retry: {} } },
};

/** What can happen to a client that is updated now and then. */
export type UpdatedStep =
  | { readonly do: "call"; readonly key: Key; readonly timeoutMs: number }
  | { readonly do: "answer" | "fail" | "leave"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "force"; readonly key: Key; readonly to: "forceOpen" | "forceClosed" | "disable" | "reset" }
  | { readonly do: "update"; readonly changes: OrderChanges };

const otherBulkhead = fc.oneof(
  fc.constantFrom(undefined, null),
  fc.record({ maxConcurrent: fc.integer({ min: 1, max: 5 }), maxQueued: fc.nat(4) }),
);

const ofMethod = fc.record(
  {
    bulkhead: otherBulkhead,
    retry: fc.constantFrom(null, { maxAttempts: 2 }, { maxAttempts: 4, initialBackoffMs: 5 }),
    breaker: fc.constantFrom({ minimumCalls: 3 }, { disabled: true }, { trials: 2 }),
    timeoutMs: fc.constantFrom(50, 200),
  },
  { requiredKeys: [] },
);

const ofService = fc.record(
  {
    adaptiveLimit: fc.constantFrom(null, { maxLimit: 3 }, { minLimit: 3 }, { maxLimit: 20 }),
    breaker: fc.constantFrom(null, { scope: "service" as const }, { openMs: 20 }),
    retryThrottling: fc.constantFrom({ maxTokens: 3 }, { maxTokens: 100 }),
    retryBudget: fc.constantFrom({ windowMs: 50 }, { minInFlight: 1 }),
  },
  { requiredKeys: [] },
);

/** The target's limit and the bulkheads at once, so that the one may rise while the other falls. */
const bounds = fc
  .record({
    limit: fc.integer({ min: 1, max: 8 }),
    getOrder: fc.integer({ min: 1, max: 5 }),
    listOrders: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ limit, getOrder, listOrders }) => ({
    service: { adaptiveLimit: { initialLimit: limit, minLimit: limit, maxLimit: limit } },
    methods: {
      getOrder: { bulkhead: { maxConcurrent: getOrder } },
      listOrders: { bulkhead: { maxConcurrent: listOrders } },
    },
  }));

const changes = fc.oneof(
  fc.constant({}),
  bounds,
  fc.record({
    service: ofService,
    methods: fc.record({ getOrder: ofMethod, listOrders: ofMethod }, { requiredKeys: [] }),
  }),
) as fc.Arbitrary<OrderChanges>;

const key = fc.constantFrom(...KEYS);

export const updatedStep: fc.Arbitrary<UpdatedStep> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({ do: fc.constant("call" as const), key, timeoutMs: fc.constantFrom(30, 300, 9_000) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({ do: fc.constantFrom("answer" as const, "fail" as const, "leave" as const), which }),
  },
  { weight: 2, arbitrary: fc.constantFrom(1, 25, 50, 300).map((ms) => ({ do: "pass" as const, ms })) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("force" as const),
      key,
      to: fc.constantFrom("forceOpen" as const, "forceClosed" as const, "disable" as const, "reset" as const),
    }),
  },
  { weight: 3, arbitrary: changes.map((changes) => ({ do: "update" as const, changes })) },
);

const FORCED = { forceOpen: "forced-open", forceClosed: "forced-closed", disable: "disabled" } as const;

/** A call as the application sees it. */
interface Made {
  readonly key: Key;
  readonly controller: AbortController;
  /** Whether it began where nothing bounded it: no bulkhead knows of it. */
  readonly free: boolean;
  over: boolean;
}

/** An attempt under way. */
interface Running {
  readonly id: number;
  readonly key: Key;
  end(error?: unknown): void;
}

/** A client whose policies are changed while calls and streams begin, end and are left, and what must hold of it. */
export class UpdatedWorld {
  readonly #made: Made[] = [];
  readonly #running = new Set<Running>();
  readonly #forced = new Map<string, string>();
  /** How many of a method may be under way: as many as were let in, where it has been narrowed since. */
  readonly #bounds: Record<Key, number> = { getOrder: BULKHEAD.maxConcurrent, listOrders: BULKHEAD.maxConcurrent };
  readonly #attempt: Attempt = { unary: (call) => this.#unary(call), stream: (call) => this.#stream(call) };
  readonly #orders = new LiveOrders(CONTRACT, this.#attempt);
  #changes: OrderChanges = {};

  async take(step: UpdatedStep): Promise<void> {
    if (step.do === "call") this.#call(step.key, step.timeoutMs);
    if (step.do === "answer") pick([...this.#running], step.which)?.end();
    if (step.do === "fail") pick([...this.#running], step.which)?.end(aFailure());
    if (step.do === "leave") this.#leave(pick(this.#left, step.which));
    if (step.do === "pass") await this.#orders.clock.advance(step.ms);
    if (step.do === "force") this.#force(step.key, step.to);
    if (step.do === "update") this.#update(step.changes);
    this.#look();
    await setImmediate();
    this.#look();
  }

  /** Back to the contract, everything ends; and nothing is left, and there is room for as much as at first. */
  async end(): Promise<void> {
    const { clock, state } = this.#orders;
    this.#update({});
    for (let turns = 0; this.#left.length > 0 && turns < 100; turns += 1) {
      for (const running of this.#running) running.end();
      await clock.advance(1_000);
      this.#look();
    }
    same("calls that are not over", this.#left.length, 0);
    same("attempts under way", this.#running.size, 0);
    same("timers", clock.pending, 0);
    same("listeners", listenersOf(state.closed), 0);
    for (const { controller } of this.#made) same("listeners", listenersOf(controller.signal), 0);
    same("extra attempts under way", state.retryShare.budget.snapshot().inFlight, 0);
    same("under way at the target", state.adaptiveLimit(LIMIT).snapshot().inFlight, 0);
    await this.#fill();
  }

  async #fill(): Promise<void> {
    const { state } = this.#orders;
    state.breakers.reset();
    this.#forced.clear();
    this.#update({ service: { adaptiveLimit: null } });
    const room = BULKHEAD.maxConcurrent + BULKHEAD.maxQueued;
    for (const key of KEYS) {
      const [before, running] = [this.#made.length, this.#running.size];
      for (let n = 0; n < room + 1; n += 1) this.#call(key, 9_000);
      await setImmediate();
      same("room in the end", this.#running.size - running, BULKHEAD.maxConcurrent);
      same("rejected in the end", this.#made.slice(before).filter(({ over }) => over).length, 1);
    }
  }

  get #left(): Made[] {
    return this.#made.filter(({ over }) => !over);
  }

  #call(key: Key, timeoutMs: number): void {
    const controller = new AbortController();
    const { service, methods } = this.#changes;
    const free = methods?.[key]?.bulkhead === null && service?.adaptiveLimit === null;
    const made: Made = { key, controller, free, over: false };
    const end = () => {
      made.over = true;
    };
    const changes = { id: this.#made.push(made) - 1, signal: controller.signal, options: { timeoutMs } };
    if (key === "listOrders") this.#read(this.#orders.open(key, changes)).then(end, end);
    else this.#orders.call(key, changes, end);
  }

  /** A reader that takes what comes. */
  async #read(stream: { next(): Promise<IteratorResult<unknown, undefined>> }): Promise<void> {
    while (!(await stream.next()).done);
  }

  #leave(made: Made | undefined): void {
    made?.controller.abort("gone");
  }

  #force(key: Key, to: "forceOpen" | "forceClosed" | "disable" | "reset"): void {
    const { breakers } = this.#orders.state;
    const name = `/shop.orders.v1.OrderService/${key === "getOrder" ? "GetOrder" : "ListOrders"}`;
    if (!Object.hasOwn(breakers.snapshot(), name)) return;
    breakers[to](name);
    if (to === "reset") this.#forced.delete(name);
    else this.#forced.set(name, FORCED[to]);
  }

  #update(changes: OrderChanges): void {
    const { state } = this.#orders;
    const before = state.adaptiveLimit(LIMIT).snapshot().inFlight;
    this.#orders.update(changes);
    this.#changes = changes;
    // An update lets nobody in beyond what was under way, or else its own bounds.
    for (const key of KEYS) this.#bounds[key] = Math.max(this.#mostOf(key), this.#countOf(key));
    const { inFlight, limit } = state.adaptiveLimit(LIMIT).snapshot();
    within("under way at the target", inFlight, 0, Math.max(before, limit));
    for (const [name, { state }] of Object.entries(this.#orders.state.breakers.snapshot())) {
      same("forced", state.startsWith("forced") || state === "disabled" ? state : undefined, this.#forced.get(name));
    }
  }

  #look(): void {
    for (const key of KEYS) {
      const count = this.#countOf(key);
      within(`${key} under way`, count, 0, this.#bounds[key]);
      this.#bounds[key] = Math.max(this.#mostOf(key), count);
    }
  }

  /** How many of a method its bulkhead lets in. */
  #mostOf(key: Key): number {
    const bulkhead = this.#changes.methods?.[key]?.bulkhead;
    return bulkhead === null ? Number.POSITIVE_INFINITY : ((bulkhead ?? BULKHEAD).maxConcurrent ?? 0);
  }

  /** How many of a method are under way that its bulkhead knows of. */
  #countOf(key: Key): number {
    return [...this.#running].filter((running) => running.key === key && !this.#made[running.id]?.free).length;
  }

  #unary(call: Call): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#run(call, "getOrder", (error) => (error === undefined ? resolve(aReply("order")) : reject(error)));
    return promise;
  }

  #stream(call: Call): ScriptedStream {
    const stream = new ScriptedStream();
    this.#run(call, "listOrders", (error) => {
      if (error === "gone") return stream.abort(error);
      if (error !== undefined) return stream.fail(error);
      stream.message("order");
      stream.succeed();
    });
    return stream;
  }

  /** An attempt that keeps its signal and its deadline, as those do that go over a wire. */
  #run({ id, signal, deadline }: Call, key: Key, settle: (error?: unknown) => void): void {
    const { clock } = this.#orders;
    const running: Running = {
      ...{ id, key },
      end: (error) => {
        this.#running.delete(running);
        signal?.removeEventListener("abort", onAbort);
        timer.cancel();
        settle(error);
      },
    };
    const onAbort = () => running.end(signal?.reason);
    const expired = aFailure({ code: 4, reason: "DEADLINE_EXCEEDED", origin: "local" });
    const timer = clock.setTimer(deadline - clock.now(), () => running.end(expired));
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#running.add(running);
  }
}
