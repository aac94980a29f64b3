import { setImmediate } from "node:timers/promises";
import type { Metadata } from "nice-grpc-common";
import type { Call } from "../../src/core/call.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { MessageStream } from "../../src/core/message-stream.ts";
import type { BudgetPermit } from "../../src/policy/retry-budget.ts";
import { tellingOf } from "./driven.ts";
import { ModelStream } from "./model-attempts.ts";
import { aCut, aDrain, around, breakerOpen, expired, pinnedAt, resuming, stalling, unsent } from "./resuming.ts";
import { aFailure, aPushback, NOTHING_LEFT } from "./retrying.ts";
import { aCall, aMethod } from "./scripted.ts";

/** What a history is about. */
export interface History {
  readonly ordered: boolean;
  /** After which of the log's entries the reader begins; 0: it says no position. */
  readonly start: number;
  readonly fromStart: boolean;
  /** How many messages it asks for; 0: all. */
  readonly limit: number;
  readonly deadline: boolean;
}

/** How many entries the server's log has, numbered from 1. */
const ENTRIES = 60;
const MAX_FAILURES = 6;

/** Every third entry is not for this reader. */
const isFor = (entry: number) => entry % 3 !== 0;

/** An attempt as its server sees it. */
interface Served {
  readonly stream: ModelStream;
  readonly call: Call;
  /** The entry up to which it has been served. */
  at: number;
  /** How many messages it still may send. */
  room: number;
  /** Whether nothing with a position has been sent. */
  fresh: boolean;
}

type Value = number;

/** A reader of a log over attempts that break as a script says. It notes what must never be as it happens. */
export class ResumeWorld {
  readonly problems: string[] = [];
  readonly #history: History;
  readonly #set: ReturnType<typeof resuming>;
  readonly #stream: MessageStream;
  readonly #told: string[];
  readonly #reads: string[] = [];
  readonly #delivered: number[] = [];
  readonly #served: Served[] = [];
  /** Where the reader's stream begins; undefined until the server has said so. */
  #start: number | undefined;
  /** Up to where the log goes for a reader who begins now. */
  #head = 7;
  /** What was to be delivered before the application began anew. */
  #before: number[] = [];
  #left = false;
  #error: unknown;
  #hog: BudgetPermit | undefined;
  #restarts = 0;

  constructor(history: History) {
    this.#history = history;
    const { ordered, start, fromStart, limit, deadline } = history;
    this.#set = resuming({
      ...{ type: ordered ? "int64" : "string", fromStart, maxFailures: MAX_FAILURES },
      retryBudget: { minInFlight: 1, windowMs: 1e9 },
    });
    if (start > 0 || fromStart) this.#start = start;
    const method = aMethod("server-stream");
    const call = aCall({
      ...{ method, request: this.#request(start, limit), signal: this.#set.controller.signal },
      deadline: deadline ? 2_000 : NO_DEADLINE,
      options: { onExpired: () => this.#onExpired() },
    });
    const { layer } = stalling(this.#set.clock, false);
    this.#stream = around(this.#set.layer, layer).stream((call) => this.#serve(call), method)(call);
    this.#told = tellingOf(this.#stream);
  }

  /** What a script can do; each takes a number to choose by. */
  readonly actions = {
    read: () => this.#read(),
    leave: () => this.#leave(),
    abort: () => this.#abort(),
    turn: () => setImmediate(),
    pass: (value: Value) => this.#set.clock.advance([1, 20, 40, 60, 100, 400, 1_000][value % 7] ?? 0),
    /** Others use up the retry budget, or no longer do. */
    hog: () => this.#toggleHog(),
    grow: () => this.#reached(this.#head + 1),
    headers: () => this.#now?.stream.headers(),
    pin: () => this.#pin(),
    send: (value: Value) => this.#send(1 + (value % 4), value % 2 === 0),
    resend: (value: Value) => this.#resend(value),
    marker: (value: Value) => this.#mark(value),
    beat: () => this.#now?.stream.message({ mark: true }),
    cut: () => this.#fail(aCut()),
    lossyCut: () => this.#fail(aCut(), true),
    refuse: (value: Value) => this.#refuse([unsent(), aFailure(), aPushback("0"), aPushback("30")][value % 4]),
    drain: (value: Value) => this.#fail(aDrain(), value % 2 === 0),
    breaker: () => this.#refuse(breakerOpen(30)),
    expire: () => this.#refuse(expired()),
    final: () => this.#fail(aFailure({ code: 5 })),
    mistake: () => this.#fail(new TypeError("a mistake")),
    end: () => this.#now?.stream.succeed(),
    /** An attempt that is over says something more. */
    late: (value: Value) => this.#served[value % Math.max(1, this.#served.length - 1)]?.stream.headers(),
  };

  /** Everybody leaves; says what is wrong then. */
  async finish(): Promise<readonly string[]> {
    await setImmediate();
    this.#hog?.release();
    this.#leave();
    await setImmediate();
    this.#expect("all is settled", !this.#reads.includes("pending"));
    this.#expect(`reads in order: ${this.#reads}`, /^(value ?)*(failed ?)?(done ?)*$/.test(this.#reads.join(" ")));
    this.#expect(
      `watchers told once: ${this.#told}`,
      /^((headers|first message),?)*(ok|cancelled|error \w+)$/.test(this.#told.join()),
    );
    this.#expect("each watcher's event once", new Set(this.#told).size === this.#told.length);
    const left = JSON.stringify(this.#set.left());
    this.#expect(`nothing left: ${left}`, left === JSON.stringify(NOTHING_LEFT));
    const attempts = this.#served.length;
    await this.#set.clock.advance(5_000);
    this.#expect("no attempt for a reader who has left", this.#served.length === attempts);
    this.#expectExact();
    this.#judgeError();
    return this.problems;
  }

  get #now(): Served | undefined {
    const last = this.#served.at(-1);
    return last && !last.stream.over ? last : undefined;
  }

  #position(entry: number): unknown {
    return this.#history.ordered ? BigInt(entry) : `p${(entry * 37) % 61}`;
  }

  #entryAt(position: unknown): number {
    for (let entry = 1; entry <= ENTRIES; entry += 1) if (this.#position(entry) === position) return entry;
    return 0;
  }

  #request(start: number, limit: number): object {
    return { ...(start > 0 && { after: this.#position(start) }), ...(limit > 0 && { limit }) };
  }

  #serve(call: Call): MessageStream {
    const { after, limit } = call.request as { after?: unknown; limit?: number };
    const stream = new ModelStream(call, this.#set.clock, () => this.#begins(call));
    const from = this.#history.fromStart ? 0 : this.#head;
    const at = after === undefined ? from : this.#entryAt(after);
    this.#expect("a position that the server has given", after === undefined || at > 0);
    this.#served.push({ stream, call, at, room: limit ?? Number.POSITIVE_INFINITY, fresh: true });
    return stream;
  }

  #begins({ request, signal, deadline }: Call): void {
    const { after, limit } = request as { after?: unknown; limit?: number };
    const { clock } = this.#set;
    this.#expect(
      "one attempt at a time",
      this.#served.slice(0, -1).every(({ stream }) => stream.over),
    );
    this.#expect("no attempt for a reader who has left", !this.#left && !signal?.aborted);
    this.#expect("no reopening after the deadline", this.#served.length === 1 || clock.now() < deadline);
    this.#expect("a limit is more than none", limit === undefined || limit > 0);
    const isLost = after === undefined && this.#start !== undefined && !this.#history.fromStart;
    this.#expect("no opening anew once it had begun somewhere", !isLost);
  }

  #read(): void {
    const index = this.#reads.push("pending") - 1;
    this.#stream.next().then(
      ({ done, value }) => {
        this.#reads[index] = done ? "done" : "value";
        if (!done) this.#delivered.push(this.#entryAt((value as { at: unknown }).at));
      },
      (error: unknown) => {
        this.#reads[index] = "failed";
        this.#error = error;
      },
    );
  }

  #leave(): void {
    this.#left = true;
    void this.#stream.return();
  }

  #abort(): void {
    this.#left = true;
    this.#set.controller.abort("gone");
  }

  #toggleHog(): void {
    const hog = this.#hog;
    hog?.release();
    this.#hog = hog ? undefined : this.#set.share.budget.tryAcquire();
  }

  /** From now on it is known where the reader begins. */
  #begun({ at }: Served): void {
    this.#start ??= at;
  }

  #pin(): void {
    const now = this.#now;
    if (!now || now.stream.headersReceived || now.at === 0) return;
    this.#begun(now);
    now.stream.headers(pinnedAt(this.#position(now.at)) as Metadata);
  }

  #send(count: number, marksSkipped: boolean): void {
    const now = this.#now;
    if (!now) return;
    for (let sent = 0; sent < count && now.room > 0 && now.at < ENTRIES; ) {
      this.#begun(now);
      now.at += 1;
      const at = this.#position(now.at);
      if (isFor(now.at)) {
        now.stream.message({ at });
        now.room -= 1;
        sent += 1;
      } else if (marksSkipped) now.stream.message({ at, mark: true });
      else continue;
      now.fresh = false;
    }
    this.#reached(now.at);
  }

  #reached(entry: number): void {
    this.#head = Math.min(Math.max(this.#head, entry), ENTRIES);
  }

  /** Opaque positions are known again only where the stream was opened. */
  #resend(value: Value): void {
    const now = this.#now;
    const { after } = (now?.call.request ?? {}) as { after?: unknown };
    if (!now) return;
    if (this.#history.ordered && this.#start !== undefined && now.at > 0) {
      now.stream.message({ at: this.#position(1 + (value % now.at)) });
    } else if (now.fresh && after !== undefined) now.stream.message({ at: after });
  }

  #mark(value: Value): void {
    const now = this.#now;
    if (!now || now.at === 0) return;
    this.#begun(now);
    const earlier = this.#history.ordered ? 1 + (value % now.at) : now.at;
    const at = this.#position(value % 2 === 0 && this.#start !== now.at ? earlier : now.at);
    now.stream.message({ at, mark: true });
  }

  #fail(error: unknown, loses = false): void {
    const now = this.#now;
    if (!now) return;
    if (loses) now.stream.lose();
    const { headersReceived } = now.stream;
    const told = error instanceof RpcError ? error.with({ headersReceived }) : error;
    // The server may have begun, whether the reader knows it or not.
    if (headersReceived || (told instanceof RpcError && told.reason === "TRANSPORT" && told.sent)) this.#begun(now);
    now.stream.fail(told);
  }

  /** What comes instead of headers. */
  #refuse(error: unknown): void {
    if (this.#now && !this.#now.stream.headersReceived) this.#fail(error);
  }

  /** The application goes on from another position: some entries later, or earlier. */
  #onExpired(): object {
    const reached = this.#entryAt(this.#stream.cursor);
    this.#before.push(...this.#between(this.#start ?? 0, reached));
    this.#restarts += 1;
    const start = this.#restarts % 2 === 0 ? Math.max(1, reached - 4) : Math.min(reached + 5, ENTRIES);
    this.#start = start;
    return this.#request(start, 0);
  }

  /** What the reader is to get between two entries. */
  #between(after: number, upTo: number): number[] {
    return Array.from({ length: Math.max(0, upTo - after) }, (_, n) => after + 1 + n).filter(isFor);
  }

  #expectExact(): void {
    const expected = [...this.#before, ...this.#between(this.#start ?? 0, ENTRIES)];
    const delivered = this.#delivered;
    const isExact = delivered.every((entry, at) => entry === expected[at]);
    this.#expect(`delivered ${delivered} of ${expected}`, isExact && delivered.length >= this.#before.length);
    const { limit } = this.#history;
    if (limit > 0 && this.#restarts === 0) this.#expect("no more than asked for", delivered.length <= limit);
  }

  #judgeError(): void {
    const error = this.#error;
    if (!(error instanceof RpcError)) return;
    const { reason, cursor, failures, attempts } = error;
    this.#expect(
      "each failure is numbered",
      failures.every(({ attempt }, n) => attempt === n + 1),
    );
    this.#expect("no more failures than there may be", failures.length <= MAX_FAILURES + 2);
    this.#expect("as many failures as attempts", attempts === failures.length);
    if (reason === "CURSOR_UNKNOWN") this.#expect("the position was unknown", this.#stream.cursor === undefined);
    if (reason === "CURSOR_EXPIRED") this.#expect("it says which", cursor === this.#stream.cursor);
  }

  #expect(what: string, holds: boolean): void {
    if (!holds) this.problems.push(what);
  }
}
