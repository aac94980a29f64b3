import { Metadata } from "nice-grpc-common";
import { type Clock, sleep, type Timer } from "../../src/core/clock.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { Idempotency } from "../../src/core/idempotency.ts";
import { EncodedMessage } from "../../src/core/method.ts";
import type { ServedContext, ServeUnary } from "../../src/core/served-call.ts";
import { memoryIdempotency } from "../../src/server/idempotency/memory-store.ts";
import type { IdempotencyStore } from "../../src/server/idempotency/store.ts";
import { idempotencyLayer } from "../../src/server/layers/idempotency.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { aMethod, jsonCodec } from "./scripted.ts";

const LEASE_MS = 300;
const method = aMethod();

/** How what a server asks of the store goes wrong. */
type Trouble = "lost" | "unheard" | "silent" | { readonly lateMs: number };

/** A handler that a test lets end. */
interface Running {
  readonly server: Server;
  readonly key: string;
  readonly request: string;
  readonly run: number;
  readonly idempotency: Idempotency;
  readonly signal: AbortSignal;
  readonly end: PromiseWithResolvers<unknown>;
}

/** A call that a client waits for. */
interface Made {
  readonly server: Server;
  readonly controller: AbortController;
  settled: boolean;
}

/** A process's timers on the world's time: with the process they go. */
class OwnTimers implements Clock {
  readonly #world: FakeClock;
  /** Those that have fired or were taken back are among them; to take one back again changes nothing. */
  readonly #timers: Timer[] = [];
  #stopped = false;

  constructor(world: FakeClock) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now();
  }

  wallTime(): number {
    return this.#world.wallTime();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = this.#world.setTimer(this.#stopped ? Number.POSITIVE_INFINITY : delayMs, fire);
    this.#timers.push(timer);
    return timer;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
  }
}

/** A process: once it has crashed, nobody hears of it again. */
class Server {
  crashed = false;
  readonly #clock: OwnTimers;
  /** What it asks of the store waits here while it stands still. */
  paused: PromiseWithResolvers<void> | undefined;
  /** What becomes of the next thing that it asks. */
  trouble: Trouble | undefined;
  readonly serve: ServeUnary;

  readonly #world: FakeClock;

  constructor(store: IdempotencyStore, clock: FakeClock, handler: (server: Server) => ServeUnary) {
    this.#world = clock;
    this.#clock = new OwnTimers(clock);
    const keyed = { leaseMs: LEASE_MS, encoded: true, clock: this.#clock, observer: undefined, onError: () => {} };
    const layer = idempotencyLayer({ ...keyed, store: this.#reach(store) }, new Map([[method.path, 1e9]]));
    this.serve = layer.unary(handler(this), method);
  }

  crash(): void {
    this.crashed = true;
    this.#clock.stop();
  }

  /** The store as this server reaches it. */
  #reach(store: IdempotencyStore): IdempotencyStore {
    // What a server gives up on by itself; a claim or a commit it waits for as long as its client does, here for ever.
    const givenUp: unknown[] = [store.renew, store.complete, store.release];
    const reach =
      <In extends unknown[], Out>(ask: (...asked: In) => Promise<Out>) =>
      async (...asked: In): Promise<Out> => {
        await this.paused?.promise;
        const { trouble } = this;
        this.trouble = undefined;
        if (trouble === "lost" || this.crashed) return this.#fail();
        // Not on the server's own clock: what is on its way arrives though its sender has crashed.
        if (typeof trouble === "object") await sleep(this.#world, trouble.lateMs);
        const answer = await ask(...asked);
        if (trouble === "silent" && givenUp.includes(ask)) return new Promise(() => {});
        return typeof trouble === "string" || this.crashed ? this.#fail() : answer;
      };
    return {
      claim: reach(store.claim),
      renew: reach(store.renew),
      complete: reach(store.complete),
      release: reach(store.release),
      ...(store.commit && { commit: reach(store.commit) }),
    };
  }

  #fail(): Promise<never> {
    return this.crashed ? new Promise(() => {}) : Promise.reject(new Error("the store was not heard"));
  }
}

/** Servers on one store, their handlers and clients, and a list of what must not have happened. */
export class IdempotencyWorld {
  readonly clock: FakeClock = fakeClock();
  readonly #store: IdempotencyStore;
  readonly #servers: Server[];
  readonly #running: Running[] = [];
  readonly #made: Made[] = [];
  /** What was answered OK, by key. */
  readonly #answers = new Map<string, unknown[]>();
  /** What was done in transactions, by key. */
  readonly #effects = new Map<string, unknown[]>();
  /** The requests of which a run was cut off, by key. */
  readonly #cutOff = new Map<string, string>();
  /** What a handler was not told that runs after one that was cut off. */
  readonly #untold: string[] = [];
  #runs = 0;
  /** How often a key was taken over: a world without any shows nothing of it. */
  takenOver = 0;

  constructor() {
    const store = memoryIdempotency({ clock: this.clock });
    const committed = new Set<number>();
    // As a database has it: all of it in one step, and once.
    const commit: IdempotencyStore["commit"] = async (_db, work, claim) => {
      const answer = await work({});
      if (!claim || committed.has(claim.token) || !(await store.complete(claim, answer))) return false;
      committed.add(claim.token);
      this.#effects.set(claim.key, [...(this.#effects.get(claim.key) ?? []), runOf(jsonCodec.decode(answer))]);
      return true;
    };
    this.#store = { ...store, commit };
    this.#servers = [this.#start(), this.#start()];
  }

  /** How many keys were committed. */
  get committed(): number {
    return this.#effects.size;
  }

  /** What may happen; the numbers choose what to. */
  readonly actions = {
    call: async (which: number, value: number) =>
      this.#call(which % 2, `key-${value % 2}`, value % 7 === 0 ? "b" : "a"),
    answer: async (which: number) => this.#end(which, ({ run }) => ({ run })),
    commit: async (which: number) => this.#commit(which, false),
    commitTwice: async (which: number) =>
      this.#end(which, async ({ idempotency, run }) => {
        const commit = () => idempotency.commit({}, () => ({ run }));
        return commit().catch(commit);
      }),
    commitUnawaited: async (which: number, value: number) =>
      this.#end(which, async ({ idempotency, run }) => {
        idempotency.commit({}, () => ({ run })).catch(() => {});
        if (value % 3 === 0) throw new Error("before the commit has ended");
        return { run: -run };
      }),
    commitAndFail: async (which: number) => this.#commit(which, true),
    fail: async (which: number) =>
      this.#end(which, ({ run, key }) => {
        throw new RpcError({ path: "", reason: "REFUSED", details: `run ${run} of ${key} failed` });
      }),
    cancel: async (which: number) => pick(this.#made, which)?.controller.abort("gone"),
    wait: (_: number, value: number) => this.clock.advance(value % (2 * LEASE_MS)),
    pause: async (which: number) => {
      const server = this.#servers[which % 2];
      if (server) server.paused ??= Promise.withResolvers();
    },
    resume: async (which: number) => this.#resume(this.#servers[which % 2]),
    crash: async (which: number) => {
      const server = this.#servers[which % 2];
      server?.crash();
      this.#resume(server);
      this.#servers[which % 2] = this.#start();
    },
    lose: async (which: number) => this.#trouble(which, "lost"),
    loseAnswer: async (which: number) => this.#trouble(which, "unheard"),
    silence: async (which: number) => this.#trouble(which, "silent"),
    delay: async (which: number, value: number) => this.#trouble(which, { lateMs: value % (2 * LEASE_MS) }),
  };

  /** Lets everything come to its end, repeats every key, and says what was wrong. */
  async finish(): Promise<string[]> {
    for (const server of this.#servers) this.#resume(server);
    for (const key of ["key-0", "key-1"]) this.#call(0, key, "a");
    for (let n = 0; n < 50 && !this.#quiet; n += 1) {
      while (this.#running.length > 0) this.#end(0, ({ run }) => ({ run }));
      await this.clock.advance(LEASE_MS);
    }
    // What goes on though nobody waits for it: what arrives late, and the answer of a call whose client has left.
    await this.clock.advance(4 * LEASE_MS);
    const live = this.#made.filter(({ settled }) => !settled).length;
    return [
      ...this.#untold,
      ...(this.#quiet ? [] : [`${live} calls have not ended`]),
      ...(this.clock.pending === 0 ? [] : [`${this.clock.pending} timers are left`]),
      ...[...this.#answers].flatMap(([key, answers]) =>
        new Set(answers.map((answer) => JSON.stringify(answer))).size > 1
          ? [`${key} has several answers: ${JSON.stringify(answers)}`]
          : [],
      ),
      ...[...this.#effects].flatMap(([key, runs]) => this.#judge(key, runs)),
    ];
  }

  #judge(key: string, runs: readonly unknown[]): string[] {
    const [answer] = this.#answers.get(key) ?? [];
    const several = runs.length > 1 ? [`${key} was committed by runs ${runs}`] : [];
    const other = answer !== undefined && runOf(answer) !== runs[0];
    return other
      ? [...several, `${key} was committed by run ${runs}, and answered ${JSON.stringify(answer)}`]
      : several;
  }

  /** Whether no call of a server that lives is under way. */
  get #quiet(): boolean {
    return this.#made.every(({ settled }) => settled) && this.#running.length === 0;
  }

  #start(): Server {
    return new Server(
      this.#store,
      this.clock,
      (server) => (request, context) => this.#handle(server, request, context),
    );
  }

  #handle(server: Server, request: unknown, { idempotency, signal }: ServedContext): Promise<unknown> {
    // Its claim came to it in the turn in which it crashed.
    if (server.crashed) return new Promise(() => {});
    this.#runs += 1;
    if (idempotency.takenOver) this.takenOver += 1;
    const end = Promise.withResolvers<unknown>();
    const { key, request: asked } = request as { key: string; request: string };
    this.#listen(key, asked, idempotency.takenOver);
    this.#running.push({ server, key, request: asked, run: this.#runs, idempotency, signal, end });
    return end.promise;
  }

  /** A run after one that was cut off is of the same request, and is told. */
  #listen(key: string, request: string, takenOver: boolean): void {
    const cutOff = this.#cutOff.get(key) ?? (takenOver ? request : undefined);
    if (cutOff === undefined) return;
    if (!takenOver) this.#untold.push(`run ${this.#runs} of ${key} was not told of one that was cut off`);
    if (request !== cutOff) this.#untold.push(`run ${this.#runs} of ${key} is of another request than one cut off`);
    this.#cutOff.set(key, cutOff);
  }

  #call(which: number, key: string, request: string): void {
    const server = this.#servers[which];
    if (!server) return;
    const controller = new AbortController();
    const made: Made = { server, controller, settled: false };
    this.#made.push(made);
    const context = {
      ...{ method, identity: { key: "peer:a", source: "peer" }, header: new Metadata(), signal: controller.signal },
      ...{ metadata: new Metadata({ "idempotency-key": key }), remainingMs: () => Number.POSITIVE_INFINITY },
      outlasts: () => {},
    };
    server.serve({ key, request }, context as unknown as ServedContext).then(
      (answer) => {
        made.settled = true;
        if (server.crashed || !(answer instanceof EncodedMessage)) return;
        this.#answers.set(key, [...(this.#answers.get(key) ?? []), jsonCodec.decode(answer.bytes)]);
      },
      () => {
        made.settled = true;
      },
    );
  }

  #resume(server: Server | undefined): void {
    if (!server) return;
    server.paused?.resolve();
    server.paused = undefined;
    if (!server.crashed) return;
    // Its clients are told that the connection broke, and its handlers are gone.
    for (const made of this.#made) made.settled ||= made.server === server;
    for (const running of [...this.#running]) {
      if (running.server !== server) continue;
      this.#running.splice(this.#running.indexOf(running), 1);
      this.#cutOff.set(running.key, running.request);
    }
  }

  #trouble(which: number, trouble: Trouble): void {
    const server = this.#servers[which % 2];
    if (server) server.trouble = trouble;
  }

  #end(which: number, answer: (running: Running) => unknown): void {
    const [running] = this.#running.splice(which % Math.max(1, this.#running.length), 1);
    if (!running) return;
    try {
      running.end.resolve(answer(running));
    } catch (error) {
      running.end.reject(error);
    }
  }

  #commit(which: number, failing: boolean): void {
    this.#end(which, async ({ idempotency, run }) => {
      const answer = await idempotency.commit({}, () => ({ run }));
      if (failing) throw new Error("after the commit");
      return answer;
    });
  }
}

function runOf(answer: unknown): unknown {
  return Reflect.get(Object(answer), "run");
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[which % Math.max(1, list.length)];
}
