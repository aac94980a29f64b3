import type { Criticality } from "../../src/core/criticality.ts";
import type { ServedContext, ServedEnd, ServeStream, ServeUnary } from "../../src/core/served-call.ts";
import { EndListeners } from "../../src/core/served-call.ts";
import { FixedLimit } from "../../src/policy/fixed-limit.ts";
import { Shedder } from "../../src/policy/shedding.ts";
import { OPENING_MS, shedLayer } from "../../src/server/layers/shed.ts";
import type { ShedGate } from "../../src/server/limits/shed-gate.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { pick } from "./histories.ts";
import { aMethod } from "./scripted.ts";

const MAX_WAIT_MS = 40;
const unaryMethod = aMethod();
const uploadMethod = aMethod("client-stream");
const streamMethod = aMethod("server-stream");
const METHODS = { unary: unaryMethod, upload: uploadMethod, stream: streamMethod, unread: streamMethod };

/** A call as the layer sees it; the server ends it. */
class World {
  readonly context: ServedContext;
  readonly controller: AbortController = new AbortController();
  readonly #ends = new EndListeners();

  constructor(clock: FakeClock, criticality: Criticality | undefined, deadlineAt: number, kind: Kind) {
    const remainingMs = () => Math.max(0, deadlineAt - clock.now());
    const onEnd = (listener: (end: ServedEnd) => void) => this.#ends.add(listener);
    const method = METHODS[kind];
    const { signal } = this.controller;
    this.context = { method, criticality, deadlineAt, remainingMs, signal, onEnd } as unknown as ServedContext;
  }

  end(end: ServedEnd): void {
    this.#ends.tell(end);
  }
}

/** A call with one response; a client's stream; a stream; one that is never read, as by a middleware that gives up. */
export type Kind = "unary" | "upload" | "stream" | "unread";

/** A handler that runs, and how it may end. */
interface Running {
  readonly world: World;
  readonly next: PromiseWithResolvers<IteratorResult<unknown>>;
}

/** A gate in front of handlers, on a fake clock; everything that a client and a handler may do, at any time. */
export class LoadWorld {
  readonly clock: FakeClock = fakeClock();
  readonly problems: string[] = [];
  readonly #shedder: Shedder;
  readonly #unary: ServeUnary;
  readonly #upload: ServeUnary;
  readonly #stream: ServeStream;
  readonly #limit: number;
  readonly #made: World[] = [];
  readonly #running: Running[] = [];
  #lagMs = 0;
  #open = 0;

  constructor(limit: number, maxQueued: number) {
    this.#limit = limit;
    this.#shedder = new Shedder({ maxQueued, loopDelayMs: 100 }, new FixedLimit(limit), this.clock);
    const gate: ShedGate = {
      ...{ shedder: this.#shedder, maxWaitMs: MAX_WAIT_MS, clock: this.clock, random: () => 0.5, observer: undefined },
      loopDelayMs: () => this.#lagMs,
    };
    const layer = shedLayer(gate);
    const answered: ServeUnary = (_, context) => this.#run(context).next.promise;
    this.#unary = layer.unary(answered, unaryMethod);
    this.#upload = layer.unary(answered, uploadMethod);
    this.#stream = layer.stream(
      (_, context) => ({
        [Symbol.asyncIterator]: () => ({
          next: () => this.#run(context).next.promise,
          return: async () => ({ done: true as const, value: undefined }),
        }),
      }),
      streamMethod,
    );
  }

  call(criticality: Criticality | undefined, withinMs: number, kind: Kind): void {
    const world = new World(this.clock, criticality, this.clock.now() + withinMs, kind);
    this.#made.push(world);
    this.#open += 1;
    const end = (end: ServedEnd) => {
      this.#open -= 1;
      world.end(end);
    };
    this.#serve(world, kind).then(
      () => end({ outcome: "ok" }),
      () => end({ outcome: "error" }),
    );
  }

  /** A handler answers, or its stream says something and then ends. */
  answer(which: number): void {
    this.#finish(which, (next) => next.resolve({ done: true, value: undefined }));
  }

  /** And in the moment in which another's turn comes, its client leaves. */
  answerAndLeave(which: number): void {
    pick(this.#running, which)?.world.context.onEnd(() => {
      for (const { controller } of this.#made) controller.abort("gone");
    });
    this.answer(which);
  }

  fail(which: number): void {
    this.#finish(which, (next) => next.reject(new Error("the handler failed")));
  }

  /** A client leaves; its handler goes on, as one may that does not look. */
  leave(which: number): void {
    pick(this.#made, which)?.controller.abort("gone");
  }

  lag(ms: number): void {
    this.#lagMs = ms;
  }

  check(): void {
    const { running, queued } = this.#shedder.snapshot();
    if (running > this.#limit) this.problems.push(`${running} run where ${this.#limit} may`);
    if (queued > 0 && running < this.#limit) this.problems.push(`${queued} wait though only ${running} run`);
  }

  /** Lets everything end, and says what was left behind. */
  async finish(): Promise<string[]> {
    for (let n = 0; n < 200 && this.#open > 0; n += 1) {
      while (this.#running.length > 0) this.answer(0);
      await this.clock.advance(MAX_WAIT_MS);
    }
    // A stream that nobody has read, and an upload, counts for a second at most.
    await this.clock.advance(OPENING_MS);
    const { running, queued } = this.#shedder.snapshot();
    return [
      ...this.problems,
      ...(this.#open === 0 ? [] : [`${this.#open} calls have not ended`]),
      ...(running + queued === 0 ? [] : [`${running} permits and ${queued} places are left`]),
      ...(this.clock.pending === 0 ? [] : [`${this.clock.pending} timers are left`]),
    ];
  }

  #serve(world: World, kind: Kind): Promise<unknown> {
    if (kind === "unary") return this.#unary("request", world.context);
    if (kind === "upload") return this.#upload("request", world.context);
    return this.#read(world, kind === "stream");
  }

  async #read(world: World, first: boolean): Promise<void> {
    const iterator = this.#stream("request", world.context)[Symbol.asyncIterator]();
    if (first) await iterator.next();
    await iterator.return?.();
  }

  #run(context: ServedContext): Running {
    const world = this.#made.find((one) => one.context === context);
    if (!world) throw new Error("a call that nobody made is run");
    if (context.deadlineAt <= this.clock.now()) this.problems.push("a call was run whose deadline had passed");
    const running: Running = { world, next: Promise.withResolvers() };
    this.#running.push(running);
    return running;
  }

  #finish(which: number, end: (next: Running["next"]) => void): void {
    const running = pick(this.#running, which);
    if (!running) return;
    this.#running.splice(this.#running.indexOf(running), 1);
    end(running.next);
  }
}
