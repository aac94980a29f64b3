import { getEventListeners } from "node:events";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import type { Idempotency } from "../../../src/core/idempotency.ts";
import type { Codec } from "../../../src/core/method.ts";
import type { ServedContext, ServeUnary } from "../../../src/core/served-call.ts";
import { memoryIdempotency } from "../../../src/server/idempotency/memory-store.ts";
import type { IdempotencyStore } from "../../../src/server/idempotency/store.ts";
import { idempotencyLayer } from "../../../src/server/layers/idempotency.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { gate, rejection } from "../../support/orders.ts";
import { aMethod } from "../../support/scripted.ts";

const method = aMethod();
const LEASE_MS = 300;

/** The layer around a handler, on a store whose asks are noted. */
function setUp(
  handler: ServeUnary,
  changes: Partial<IdempotencyStore> = {},
  inner?: IdempotencyStore,
  served = method,
  leaseMs = LEASE_MS,
) {
  const clock = fakeClock();
  const store = inner ?? memoryIdempotency({ clock });
  const asked: string[] = [];
  const errors: unknown[] = [];
  const outlasting: Promise<unknown>[] = [];
  const all = { ...store, ...changes };
  const noting =
    <In extends unknown[], Out>(name: string, ask: (...given: In) => Promise<Out>) =>
    (...given: In) => {
      asked.push(`${name} ${clock.now()}`);
      return ask(...given);
    };
  const noted: IdempotencyStore = {
    claim: noting("claim", all.claim),
    renew: noting("renew", all.renew),
    complete: noting("complete", all.complete),
    release: noting("release", all.release),
  };
  const keyed = { store: noted, leaseMs, encoded: false, clock, observer: undefined };
  const layer = idempotencyLayer(
    { ...keyed, onError: (error) => void errors.push(error) },
    new Map([[method.path, 86_400_000]]),
  );
  const serve = layer.unary(handler, served);
  /** A call with a key, which leaves after `timeoutMs` if given. */
  const call = (request: unknown = "request", context: Partial<ServedContext> = {}, timeoutMs = Infinity) => {
    const until = clock.now() + timeoutMs;
    return serve(request, {
      ...{ method, header: new Metadata(), metadata: new Metadata({ "idempotency-key": "k" }) },
      ...{ signal: new AbortController().signal, identity: { key: "peer:a", source: "peer" } },
      remainingMs: () => Math.max(0, until - clock.now()),
      outlasts: (work: Promise<unknown>) => void outlasting.push(work),
      ...context,
    } as ServedContext);
  };
  return { clock, call, asked, errors, outlasting, store, layer };
}

/** The same, on a store whose first claim is slow to come. */
function slowStore(handler: ServeUnary, changes: Partial<IdempotencyStore> = {}) {
  const slow = gate();
  const store = memoryIdempotency();
  const claim: IdempotencyStore["claim"] = async (wish) => {
    await slow.promise;
    return store.claim(wish);
  };
  return { slow, ...setUp(handler, { claim, ...changes }, store) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const forever = () => new Promise<never>(() => {});

describe("a claim", () => {
  test("is renewed each third of its lease while the handler runs, and no longer", async () => {
    const end = gate<string>();
    const { clock, call, asked } = setUp(() => end.promise);
    const answer = call();
    await clock.advance(99);
    expect(asked).toEqual(["claim 0"]);
    await clock.advance(201);
    expect(asked).toEqual(["claim 0", "renew 100", "renew 200", "renew 300"]);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    await clock.advance(1_000);
    expect(asked.slice(4)).toEqual(["complete 300"]);
    expect(clock.pending).toBe(0);
  });

  test.each([
    [40, [100, 200]],
    [150, [150, 250]],
  ])("that was given after %d ms is renewed by when it was asked for", async (claimMs, renewals) => {
    const end = gate<string>();
    const { clock, slow, call, asked } = slowStore(() => end.promise, { renew: async () => true });
    const answer = call();
    await clock.advance(claimMs);
    slow.resolve();
    await clock.advance(299 - claimMs);
    expect(asked).toEqual(["claim 0", ...renewals.map((at) => `renew ${at}`)]);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    expect(clock.pending).toBe(0);
  });

  test.each([
    ["is another's by then starts no handler: its call gets the other one's answer", true, "other"],
    ["nobody else has taken runs its handler, and holds", false, "own"],
  ])("that comes when its lease may be over, and %s", async (_, taken, answer) => {
    const [slow, end] = [gate(), gate()];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const runs: string[] = [];
    const handler = (name: string) => async () => {
      runs.push(name);
      await end.promise;
      return name;
    };
    const claim: IdempotencyStore["claim"] = async (wish) => {
      const outcome = await store.claim(wish);
      await slow.promise;
      return outcome;
    };
    const late = setUp(handler("own"), { claim }, store);
    const other = setUp(handler("other"), {}, store);
    const first = late.call();
    await Promise.all([clock.advance(LEASE_MS), late.clock.advance(LEASE_MS)]);
    const second = taken ? other.call() : undefined;
    slow.resolve();
    await late.clock.advance(99);
    expect([runs, late.asked.slice(0, 2)]).toEqual([[answer], ["claim 0", `renew ${LEASE_MS}`]]);
    end.resolve();
    await late.clock.advance(100);
    expect([await first, await (second ?? first)]).toEqual([answer, answer]);
    expect(late.clock.pending).toBe(0);
  });

  test.each<[string, IdempotencyStore["renew"], number, unknown]>([
    ["fails", () => Promise.reject(new Error("down")), 0, new Error("down")],
    ["is not answered", forever, 100, new Error("the store of idempotency keys has not answered for 100 ms")],
  ])("whose lease may be over when it comes is given back where its renewal %s", async (_, renew, ms, error) => {
    const { clock, slow, call, asked, errors } = slowStore(() => expect.unreachable(), { renew });
    const failed = rejection(call());
    await clock.advance(LEASE_MS);
    slow.resolve();
    await clock.advance(ms);
    expect(await failed).toMatchObject({ code: 14, cause: error });
    expect(asked).toEqual(["claim 0", "renew 300", `release ${LEASE_MS + ms}`]);
    expect(errors).toEqual([error]);
    expect(clock.pending).toBe(0);
  });

  test("outlives renewals that fail, which are told", async () => {
    const end = gate<string>();
    const down = new Error("down");
    const { clock, call, errors } = setUp(() => end.promise, { renew: () => Promise.reject(down) });
    const answer = call();
    await clock.advance(250);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    expect(errors).toEqual([down, down]);
  });

  test("outlives a renewal that is never answered: the later ones are made in their time", async () => {
    const end = gate<string>();
    const answers = [forever(), Promise.resolve(true)];
    const renew = () => answers.shift() ?? Promise.resolve(true);
    const { clock, call, asked, errors } = setUp(() => end.promise, { renew });
    const answer = call();
    await clock.advance(400);
    expect(asked).toEqual(["claim 0", "renew 100", "renew 200", "renew 300", "renew 400"]);
    expect(errors).toEqual([new Error("the store of idempotency keys has not answered for 100 ms")]);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    expect(clock.pending).toBe(0);
  });

  test("is renewed ever less often by a store that stays silent, and as before once it answers", async () => {
    const [end, renewed] = [gate<string>(), gate<boolean>()];
    const { clock, call, asked, errors } = setUp(() => end.promise, { renew: () => renewed.promise });
    const answer = call();
    await clock.advance(1_750);
    const silent = ["renew 100", "renew 200", "renew 300", "renew 500", "renew 900", "renew 1700"];
    expect([asked.slice(1), errors.length]).toEqual([silent, 5]);
    renewed.resolve(true);
    await clock.advance(200);
    expect([asked.slice(7), errors.length]).toEqual([["renew 1850", "renew 1950"], 5]);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    expect(clock.pending).toBe(0);
  });

  test("is renewed when it was due, whatever is heard of an earlier renewal just before", async () => {
    const [end, first] = [gate<string>(), gate<boolean>()];
    const answers = [first.promise];
    const { clock, call, asked } = setUp(() => end.promise, { renew: () => answers.shift() ?? forever() });
    const answer = call();
    await clock.advance(299);
    first.resolve(true);
    await clock.advance(200);
    expect(asked).toEqual(["claim 0", "renew 100", "renew 200", "renew 300", "renew 400"]);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    expect(clock.pending).toBe(0);
  });

  test("of which an old renewal says late that it is another's is lost", async () => {
    const renewed = gate<boolean>();
    const answers = [renewed.promise];
    const handler: ServeUnary = (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const { clock, call } = setUp(handler, { renew: () => answers.shift() ?? Promise.resolve(true) });
    const error = rejection(call());
    await clock.advance(250);
    renewed.resolve(false);
    expect(await error).toMatchObject({ code: 14, reason: "REFUSED" });
    expect(clock.pending).toBe(0);
  });

  test("that has ended is renewed no more, whatever is answered late", async () => {
    const [end, renewed] = [gate<string>(), gate<boolean>()];
    const { clock, call, asked } = setUp(() => end.promise, { renew: () => renewed.promise });
    const answer = call();
    await clock.advance(350);
    end.resolve("ok");
    expect(await answer).toBe("ok");
    renewed.resolve(true);
    await clock.advance(1_000);
    expect(asked.slice(1)).toEqual(["renew 100", "renew 200", "renew 300", "complete 350"]);
    expect(clock.pending).toBe(0);
  });

  test("that is lost aborts the handler's signal, and ends the call as UNAVAILABLE whatever the handler does", async () => {
    const signals: AbortSignal[] = [];
    const handler: ServeUnary = async (_, { signal }) => {
      signals.push(signal);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    };
    const { clock, call, asked } = setUp(handler, { renew: async () => false });
    const error = rejection(call());
    await clock.advance(100);
    expect(await error).toMatchObject({ code: 14, reason: "REFUSED" });
    expect(signals[0]?.reason).toMatchObject({ name: "AbortError" });
    // Giving back what is another's has no effect.
    expect(asked).toEqual(["claim 0", "renew 100", "release 100"]);
    expect(clock.pending).toBe(0);
  });

  test("is released when the handler fails, before its client hears of it", async () => {
    const released = gate();
    const order: string[] = [];
    const { call, asked } = setUp(
      async () => {
        throw new RangeError("no");
      },
      { release: () => released.promise },
    );
    const failed = rejection(call()).then((error) => {
      order.push("answered");
      return error;
    });
    await new Promise((resolve) => setImmediate(resolve));
    order.push("released");
    released.resolve();
    expect(await failed).toBeInstanceOf(RangeError);
    expect(order).toEqual(["released", "answered"]);
    expect(asked).toEqual(["claim 0", "release 0"]);
  });

  test.each<[string, number]>([
    ["that would be due meanwhile", 0],
    ["that is under way", 100],
  ])("is released by its owner, whatever a renewal finds %s", async (_, runsMs) => {
    const [end, release, renewed] = [gate<never>(), gate(), gate<boolean>()];
    const refusal = new RangeError("no");
    const { clock, call } = setUp(() => end.promise, { release: () => release.promise, renew: () => renewed.promise });
    const failed = rejection(call());
    await clock.advance(runsMs);
    end.reject(refusal);
    await clock.advance(150);
    renewed.resolve(false);
    await clock.advance(0);
    release.resolve();
    expect(await failed).toBe(refusal);
    expect(clock.pending).toBe(0);
  });

  test("that the store does not take back holds up no refusal for more than 100 ms", async () => {
    const release = gate();
    const refusal = new RangeError("no");
    const { clock, call, errors } = setUp(() => Promise.reject(refusal), { release: () => release.promise });
    const states: unknown[] = [];
    const failed = rejection(call()).then((error) => states.push(error));
    await clock.advance(99);
    expect(states).toEqual([]);
    await clock.advance(1);
    await failed;
    expect(states).toEqual([refusal]);
    release.reject(new Error("broken"));
    await turn();
    expect(errors).toEqual([new Error("the store of idempotency keys has not answered for 100 ms")]);
    expect(clock.pending).toBe(0);
  });

  test("is released for an answer that cannot be encoded", async () => {
    const { call, asked } = setUp(async () => 1n);
    await expect(call()).rejects.toThrow(TypeError);
    expect(asked).toEqual(["claim 0", "release 0"]);
  });

  test("that comes after its caller has left is given back, and nothing runs; nobody waits for it", async () => {
    const { slow, call, asked, errors } = slowStore(() => expect.unreachable());
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    controller.abort("gone");
    expect(await left).toBe("gone");
    expect(asked).toEqual(["claim 0"]);
    slow.resolve();
    await turn();
    expect([asked, errors]).toEqual([["claim 0", "release 0"], []]);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("is given back where its caller leaves in the turn in which it comes", async () => {
    const { slow, call, asked } = slowStore(() => expect.unreachable());
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    slow.resolve();
    await slow.promise.then(() => controller.abort("gone"));
    expect(await left).toBe("gone");
    await turn();
    expect(asked).toEqual(["claim 0", "release 0"]);
  });

  test("that comes after the deadline is given back, and nothing runs", async () => {
    const { clock, slow, call, asked } = slowStore(() => expect.unreachable());
    const late = rejection(call("request", {}, 50));
    await clock.advance(50);
    slow.resolve();
    expect(await late).toMatchObject({ code: 4, details: "the deadline passed before the handler began" });
    await turn();
    expect(asked).toEqual(["claim 0", "release 50"]);
  });

  test("that comes just before the deadline runs its handler", async () => {
    const { clock, slow, call } = slowStore(async () => "ok");
    const answer = call("request", {}, 50);
    await clock.advance(49);
    slow.resolve();
    expect(await answer).toBe("ok");
  });

  test("that was given back late lets a repetition run at once", async () => {
    const { clock, slow, call } = slowStore(async () => "ok");
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    controller.abort("gone");
    await left;
    slow.resolve();
    await turn();
    expect(await call()).toBe("ok");
    expect(clock.now()).toBe(0);
  });

  test("that cannot be given back, or fails late, is told", async () => {
    const [down, away] = [new Error("down"), new Error("away")];
    const { slow, call, errors } = slowStore(() => expect.unreachable(), { release: () => Promise.reject(down) });
    const failing = gate<never>();
    const failed = setUp(() => expect.unreachable(), { claim: () => failing.promise });
    const controller = new AbortController();
    const { signal } = controller;
    const left = [rejection(call("request", { signal })), rejection(failed.call("request", { signal }))];
    controller.abort("gone");
    expect(await Promise.all(left)).toEqual(["gone", "gone"]);
    slow.resolve();
    failing.reject(away);
    await turn();
    expect([errors, failed.errors]).toEqual([[down], [away]]);
  });

  test.each([
    [99, []],
    [100, [new Error("the store of idempotency keys has not answered for 100 ms")]],
  ])(
    "to which the store has said nothing when its caller leaves after %d ms is told after 100 ms",
    async (ms, told) => {
      const { clock, call, errors } = setUp(() => expect.unreachable(), { claim: forever });
      const controller = new AbortController();
      const left = rejection(call("request", { signal: controller.signal }));
      await clock.advance(ms);
      controller.abort("gone");
      expect(await left).toBe("gone");
      expect(errors).toEqual(told);
      expect(clock.pending).toBe(0);
    },
  );

  test.each([
    [2_999, []],
    [3_000, [new Error("the store of idempotency keys has not answered for 3000 ms")]],
  ])(
    "that is given back though nobody waits is given a third of its lease for it: %d ms of 9,000",
    async (ms, told) => {
      const [claimed, released] = [gate(), gate()];
      const store = memoryIdempotency();
      const claim: IdempotencyStore["claim"] = async (wish) => {
        await claimed.promise;
        return store.claim(wish);
      };
      const slow = { claim, release: () => released.promise };
      const { clock, call, errors } = setUp(() => expect.unreachable(), slow, store, method, 9_000);
      const controller = new AbortController();
      const left = rejection(call("request", { signal: controller.signal }));
      controller.abort("gone");
      expect(await left).toBe("gone");
      claimed.resolve();
      await turn();
      await clock.advance(ms);
      released.resolve();
      await turn();
      expect([errors, clock.pending]).toEqual([told, 0]);
    },
  );

  test("of a run that was cut off: whoever fails after it leaves the key to the same request, which is told", async () => {
    const told: boolean[] = [];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const first = setUp(forever, { renew: () => Promise.reject(new Error("crashed")) }, store);
    const { call } = setUp(
      async (_, { idempotency }) => {
        told.push(idempotency.takenOver);
        if (told.length < 3) throw new RangeError("no");
        return "ok";
      },
      {},
      store,
    );
    void first.call();
    await clock.advance(LEASE_MS + 1);
    expect(await rejection(call())).toBeInstanceOf(RangeError);
    expect(await rejection(call("another request"))).toMatchObject({ code: 3 });
    expect(await rejection(call())).toBeInstanceOf(RangeError);
    expect(await call()).toBe("ok");
    expect(told).toEqual([true, true, true]);
    expect(clock.now()).toBe(LEASE_MS + 1);
  });

  test("of a run that was cut off is given back after the renewal that is under way, which would revive it", async () => {
    const [end, renewed] = [gate<never>(), gate()];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const renew: IdempotencyStore["renew"] = async (claim) => {
      await renewed.promise;
      return store.renew(claim);
    };
    void setUp(forever, {}, store).call();
    await clock.advance(LEASE_MS + 1);
    const failing = setUp(() => end.promise, { renew }, store);
    const refusal = new RangeError("no");
    const failed = rejection(failing.call());
    await failing.clock.advance(100);
    end.reject(refusal);
    await turn();
    expect(failing.asked).toEqual(["claim 0", "renew 100"]);
    renewed.resolve();
    expect(await failed).toBe(refusal);
    expect(failing.asked).toEqual(["claim 0", "renew 100", "renew 100"]);
    const told = setUp(async (_, { idempotency }) => idempotency.takenOver, {}, store);
    expect(await told.call()).toBe(true);
    expect([clock.now(), told.clock.now()]).toEqual([LEASE_MS + 1, 0]);
    expect(failing.clock.pending).toBe(0);
  });

  test("of a run that was cut off whose renewal is never answered holds up no refusal for more than 100 ms", async () => {
    const end = gate<never>();
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    void setUp(forever, {}, store).call();
    await clock.advance(LEASE_MS + 1);
    const { errors, ...failing } = setUp(() => end.promise, { renew: forever }, store);
    const refusal = new RangeError("no");
    const failed = rejection(failing.call());
    await failing.clock.advance(100);
    end.reject(refusal);
    await failing.clock.advance(100);
    expect(await failed).toBe(refusal);
    expect(errors).toEqual([new Error("the store of idempotency keys has not answered for 100 ms")]);
    expect(failing.asked).toEqual(["claim 0", "renew 100"]);
    expect(failing.clock.pending).toBe(0);
  });

  test("of a run that was cut off, given back late, is left to whoever comes next, who is told", async () => {
    const told: boolean[] = [];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const first = setUp(forever, {}, store);
    const handler: ServeUnary = async (_, { idempotency }) => told.push(idempotency.takenOver);
    const { call } = setUp(handler, {}, store);
    void first.call();
    await clock.advance(LEASE_MS + 1);
    const late = rejection(call("request", {}, 0));
    expect(await late).toMatchObject({ code: 4, details: "the deadline passed before the handler began" });
    await turn();
    await call();
    expect(told).toEqual([true]);
    expect(clock.now()).toBe(LEASE_MS + 1);
  });

  test("is not asked for where the caller has left", async () => {
    const { call, asked } = setUp(() => expect.unreachable());
    expect(await rejection(call("request", { signal: AbortSignal.abort("gone") }))).toBe("gone");
    expect(asked).toEqual([]);
  });

  test("that the store throws at is UNAVAILABLE, as one that it rejects", async () => {
    const down = new Error("down");
    const { call, errors } = setUp(() => expect.unreachable(), {
      claim: () => {
        throw down;
      },
    });
    expect(await rejection(call())).toMatchObject({ code: 14, cause: down });
    expect(errors).toEqual([down]);
  });

  test("leaves no listener on the call's signal", async () => {
    const controller = new AbortController();
    const { call } = setUp(async () => "ok");
    await call("request", { signal: controller.signal });
    await call("request", { signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

describe("a repetition", () => {
  test("looks again after 20, 40, 80 … 500 ms where another process runs the call", async () => {
    const running = async () => ({ state: "running", leaseMs: 10_000 }) as const;
    const { clock, call, asked } = setUp(forever, { claim: running });
    void call();
    await clock.advance(2_200);
    expect(asked.map((line) => Number(line.split(" ")[1]))).toEqual([0, 20, 60, 140, 300, 620, 1_120, 1_620, 2_120]);
  });

  test("looks when the lease is over, if that is sooner", async () => {
    const running = async () => ({ state: "running", leaseMs: 5 }) as const;
    const { clock, call, asked } = setUp(forever, { claim: running });
    void call();
    await clock.advance(11);
    expect(asked).toEqual(["claim 0", "claim 5", "claim 10"]);
  });

  test("does not wait longer than its deadline", async () => {
    const { clock, call } = setUp(forever);
    void call();
    const late = rejection(call("request", {}, 130));
    await clock.advance(129);
    const state = await Promise.race([late, Promise.resolve("waiting")]);
    expect(state).toBe("waiting");
    await clock.advance(1);
    expect(await late).toMatchObject({ code: 4 });
  });

  test("ends when its caller leaves, and takes its timer along", async () => {
    const { clock, call } = setUp(forever, { claim: async () => ({ state: "running", leaseMs: 10_000 }) });
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    await clock.advance(25);
    expect(clock.pending).toBe(1);
    controller.abort("gone");
    expect(await left).toBe("gone");
    expect(clock.pending).toBe(0);
  });

  test("is answered at once when the first ends in the same process", async () => {
    const end = gate<string>();
    const { clock, call } = setUp(() => end.promise);
    const calls = [call(), call(), call()];
    await clock.advance(250);
    end.resolve("ok");
    expect(await Promise.all(calls)).toEqual(["ok", "ok", "ok"]);
    expect(clock.now()).toBe(250);
  });

  test("does not take over a handler of its own process whose lease is over, and that is alive", async () => {
    const end = gate<string>();
    let runs = 0;
    const handler: ServeUnary = () => {
      runs += 1;
      return end.promise;
    };
    const { clock, call } = setUp(handler, { renew: () => Promise.reject(new Error("down")) });
    const calls = [call(), call()];
    await clock.advance(2 * LEASE_MS);
    calls.push(call());
    expect(await rejection(call("another request"))).toMatchObject({ code: 3 });
    await clock.advance(LEASE_MS);
    end.resolve("ok");
    expect(await Promise.all(calls)).toEqual(["ok", "ok", "ok"]);
    expect(runs).toBe(1);
    expect(clock.pending).toBe(0);
  });

  /** Two calls that ask the store together, of which the second one's claim is answered when the first one's lease is over. */
  function queuedClaim() {
    const queue = gate();
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const claims = [store.claim];
    const queued: IdempotencyStore["claim"] = async (wish) => {
      await queue.promise;
      return store.claim(wish);
    };
    const renew: IdempotencyStore["renew"] = async (claim) => {
      await queue.promise;
      return store.renew(claim);
    };
    const ends = [gate<string>(), gate<string>()];
    const signals: AbortSignal[] = [];
    const handler: ServeUnary = (_, { signal }) => ends[signals.push(signal) - 1]?.promise ?? forever();
    const layer = setUp(handler, { claim: (wish) => (claims.shift() ?? queued)(wish), renew }, store);
    const advance = async (ms: number) => {
      await clock.advance(ms);
      await layer.clock.advance(ms);
    };
    return { ...layer, queue, advance, ends, signals };
  }

  test("whose claim, asked for before the first began, is given when its lease is over, runs when that has ended", async () => {
    const { call, queue, advance, ends, signals, clock } = queuedClaim();
    const first = rejection(call());
    const second = call();
    await advance(LEASE_MS + 1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    queue.resolve();
    await advance(2 * LEASE_MS);
    const third = call();
    await advance(LEASE_MS);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    ends[0]?.resolve("old");
    expect(await first).toMatchObject({ code: 14, reason: "REFUSED" });
    ends[1]?.resolve("new");
    expect([await second, await third]).toEqual(["new", "new"]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(clock.pending).toBe(0);
  });

  test("whose claim tells the first that it has lost its own aborts it, and runs when it has ended", async () => {
    const [first, second] = [gate(), gate()];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const answered: IdempotencyStore["claim"][] = [
      async (wish) => {
        const outcome = await store.claim(wish);
        await first.promise;
        return outcome;
      },
      async (wish) => {
        await second.promise;
        return store.claim(wish);
      },
    ];
    const signals: AbortSignal[] = [];
    const handler: ServeUnary = (_, { signal }) =>
      new Promise((resolve, reject) => {
        if (signals.push(signal) > 1) resolve("new");
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    const claim: IdempotencyStore["claim"] = (wish) => (answered.shift() ?? store.claim)(wish);
    const down = new Error("down");
    const { call, ...layer } = setUp(handler, { claim, renew: () => Promise.reject(down) }, store);
    const advance = (ms: number) => Promise.all([clock.advance(ms), layer.clock.advance(ms)]);
    const lost = rejection(call());
    await advance(200);
    const other = call();
    await advance(50);
    first.resolve();
    await advance(60);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    second.resolve();
    expect(await lost).toMatchObject({ code: 14, reason: "REFUSED" });
    expect(await other).toBe("new");
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(layer.clock.pending).toBe(0);
  });

  test("that waits so for the first to end leaves the key to the next when its caller leaves", async () => {
    const { call, queue, advance, ends, signals, clock } = queuedClaim();
    const controller = new AbortController();
    const first = rejection(call());
    const second = rejection(call("request", { signal: controller.signal }));
    await advance(LEASE_MS + 1);
    queue.resolve();
    await advance(1);
    controller.abort("gone");
    expect(await second).toBe("gone");
    ends[0]?.resolve("old");
    expect(await first).toMatchObject({ code: 14, reason: "REFUSED" });
    ends[1]?.resolve("new");
    expect(await call()).toBe("new");
    expect(signals).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test("takes over a handler of its own process that has lost its claim, and goes on all the same", async () => {
    const ends = [gate<string>(), gate<string>()];
    const runs: number[] = [];
    const clock = fakeClock();
    const store = memoryIdempotency({ clock });
    const renew: IdempotencyStore["renew"] = async () => false;
    const handler: ServeUnary = () => ends[runs.push(clock.now()) - 1]?.promise ?? forever();
    const { call, ...layer } = setUp(handler, { renew }, store);
    const first = rejection(call());
    await layer.clock.advance(100);
    await clock.advance(LEASE_MS);
    const second = call();
    await layer.clock.advance(0);
    expect(runs).toEqual([0, LEASE_MS]);
    ends[0]?.resolve("old");
    expect(await first).toMatchObject({ code: 14, reason: "REFUSED" });
    // Nobody takes over the one that came after it either.
    await clock.advance(LEASE_MS);
    const third = call();
    await layer.clock.advance(0);
    ends[1]?.resolve("new");
    expect([await second, await third]).toEqual(["new", "new"]);
    expect(runs).toHaveLength(2);
    expect(layer.clock.pending).toBe(0);
  });

  test("of a call that failed runs by itself, one at a time", async () => {
    const ends: PromiseWithResolvers<string>[] = [];
    const { clock, call } = setUp(() => {
      const end = gate<string>();
      ends.push(end);
      return end.promise;
    });
    const first = rejection(call());
    const others = [call(), call()];
    await clock.advance(100);
    ends[0]?.reject(new RangeError("no"));
    await first;
    await clock.advance(0);
    expect(ends).toHaveLength(2);
    ends[1]?.resolve("ok");
    expect(await Promise.all(others)).toEqual(["ok", "ok"]);
  });

  test("is another's if its identity is: each has an order of its own", async () => {
    let runs = 0;
    const { call } = setUp(async () => ++runs);
    const as = (key: string) => call("request", { identity: { key, source: "token" } });
    expect([await as("a"), await as("b"), await as("a"), await as("b")]).toEqual([1, 2, 1, 2]);
  });
});

describe("an answer", () => {
  test("is offered again after 50 ms, and then each third of a lease until one has passed, and then not given", async () => {
    const down = new Error("down");
    const { clock, call, asked, errors } = setUp(async () => "ok", { complete: () => Promise.reject(down) });
    const error = rejection(call());
    await clock.advance(1_000);
    expect(await error).toMatchObject({ code: 14, sendTrailer: { "grpc-retry-pushback-ms": "-1" }, cause: down });
    expect(asked).toEqual(["claim 0", "complete 0", "complete 50", "complete 150", "complete 250"]);
    expect(errors).toEqual([down, down, down, down]);
    expect(clock.pending).toBe(0);
  });

  test("is offered after ever more time, but a third of a lease at the most, while a lease lasts", async () => {
    const down = new Error("down");
    const offer = { complete: () => Promise.reject(down) };
    const { clock, call, asked } = setUp(async () => "ok", offer, undefined, method, 9_000);
    const error = rejection(call());
    await clock.advance(8_999);
    expect(await error).toMatchObject({ code: 14, cause: down });
    const tries = [0, 50, 150, 350, 750, 1_550, 3_150, 6_150];
    expect(asked.slice(1)).toEqual(tries.map((at) => `complete ${at}`));
    expect(clock.pending).toBe(0);
  });

  test("that the store says nothing to is offered three times, given up after a lease, and not given", async () => {
    const { clock, call, asked, errors } = setUp(async () => "ok", { complete: forever });
    const states: unknown[] = [];
    const failed = rejection(call()).then((error) => states.push(error));
    await clock.advance(LEASE_MS - 1);
    expect(states).toEqual([]);
    await clock.advance(1);
    await failed;
    const silent = new Error("the store of idempotency keys has not answered for 100 ms");
    expect(states).toMatchObject([{ code: 14, sendTrailer: { "grpc-retry-pushback-ms": "-1" }, cause: silent }]);
    expect(asked).toEqual(["claim 0", "complete 0", "complete 100", "complete 200"]);
    expect(errors).toEqual([silent, silent, silent]);
    expect(clock.pending).toBe(0);
  });

  test("that the store never heard of is kept by the second try, within the lease", async () => {
    const store = memoryIdempotency();
    const first = [forever];
    const complete: IdempotencyStore["complete"] = (...given) => (first.shift() ?? store.complete)(...given);
    const { clock, call, asked } = setUp(async () => "ok", { complete }, store);
    const answer = call();
    await clock.advance(100);
    expect(await answer).toBe("ok");
    expect(await call("request")).toBe("ok");
    expect(asked).toEqual(["claim 0", "complete 0", "complete 100", "claim 100"]);
    expect(clock.pending).toBe(0);
  });

  test("that a slow store takes in the end is given as soon as any try is answered", async () => {
    const slow = gate<boolean>();
    const tries = [slow.promise];
    const { clock, call, asked } = setUp(async () => "ok", { complete: () => tries.shift() ?? forever() });
    const answer = call();
    await clock.advance(150);
    slow.resolve(true);
    expect(await answer).toBe("ok");
    expect(asked).toEqual(["claim 0", "complete 0", "complete 100"]);
    expect([clock.now(), clock.pending]).toEqual([150, 0]);
  });

  test("that the store is slow to keep ends with its caller, and is there for repetitions at once when it is kept", async () => {
    const [slow, began] = [gate(), gate()];
    const store = memoryIdempotency();
    const complete: IdempotencyStore["complete"] = async (claim, answer) => {
      began.resolve();
      await slow.promise;
      return store.complete(claim, answer);
    };
    const { clock, call, outlasting } = setUp(async () => "ok", { complete }, store);
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    await began.promise;
    controller.abort("gone");
    expect(await left).toBe("gone");
    expect(outlasting).toHaveLength(1);
    const again = call();
    await clock.advance(25);
    slow.resolve();
    await Promise.all(outlasting);
    expect(await again).toBe("ok");
    expect([clock.now(), clock.pending]).toEqual([25, 0]);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("whose caller has left is offered again all the same, and the call does not outlast a lease of it", async () => {
    const down = new Error("down");
    const { clock, call, asked, outlasting, errors } = setUp(async () => "ok", {
      complete: () => Promise.reject(down),
    });
    const controller = new AbortController();
    const left = rejection(call("request", { signal: controller.signal }));
    await turn();
    controller.abort("gone");
    expect(await left).toBe("gone");
    await clock.advance(LEASE_MS);
    await Promise.all(outlasting);
    expect(asked).toEqual(["claim 0", "complete 0", "complete 50", "complete 150", "complete 250"]);
    expect(errors).toEqual([down, down, down, down]);
  });

  test("that is changed by whoever was given it is another's as it was kept", async () => {
    // As generated code does: a field of bytes is a view of what was decoded.
    const encode = ({ data }: { readonly data: Uint8Array }) => data.slice();
    const response = { encode, decode: (bytes: Uint8Array) => ({ data: bytes.subarray() }) } as Codec;
    const { call } = setUp(async () => ({ data: new Uint8Array([1, 2]) }), {}, undefined, { ...method, response });
    for (let n = 0; n < 3; n += 1) {
      const { data } = (await call()) as { readonly data: Uint8Array };
      expect([...data]).toEqual([1, 2]);
      data.fill(0);
    }
  });

  test("that its handler changes while it is being kept is given as it is kept", async () => {
    const answer = { orderId: "o-1" };
    const store = memoryIdempotency();
    const complete: IdempotencyStore["complete"] = (...given) => {
      answer.orderId = "o-2";
      return store.complete(...given);
    };
    const { call } = setUp(async () => answer, { complete }, store);
    expect([await call(), await call()]).toEqual([{ orderId: "o-1" }, { orderId: "o-1" }]);
  });

  test("that is refused is not given", async () => {
    const { call } = setUp(async () => "ok", { complete: async () => false });
    expect(await rejection(call())).toMatchObject({ code: 14, reason: "REFUSED" });
  });
});

test("a token grows with each run", async () => {
  const tokens: (number | undefined)[] = [];
  const { call } = setUp(async (_, { idempotency }) => {
    tokens.push((idempotency as Idempotency).token);
    if (tokens.length < 3) throw new RangeError("no");
    return "ok";
  });
  await rejection(call());
  await rejection(call());
  await call();
  expect(tokens).toEqual([...tokens].toSorted((a = 0, b = 0) => a - b));
  expect(new Set(tokens).size).toBe(3);
});

test("methods that are not marked, and streams, are handed on as they are", () => {
  const { layer } = setUp(forever);
  const other = { ...method, path: "/test.Service/other" };
  expect(layer.unary(forever, other)).toBe(forever);
  const stream = () => ReadableStream.from([]);
  expect(layer.stream(stream, aMethod("server-stream"))).toBe(stream);
});
