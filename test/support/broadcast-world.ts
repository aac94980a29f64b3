import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { type RpcError, Status } from "bowline";
import {
  type Broadcast,
  createBroadcast,
  type LagPolicy,
  type SubscribeOptions,
  type Subscription,
} from "bowline/stream";

/** A row of the database. */
export interface Row {
  readonly revision: number;
  readonly customer: number;
}

/** How a world is made; each field decides something. */
export interface WorldPlan {
  readonly history: number;
  readonly maxLagMessages: number;
  readonly onLag: LagPolicy;
  /**
   * What the database gives: a page at once; a page after a wait; rows one by one, of what there was at first; or rows
   * one by one, of what there is at each step.
   */
  readonly reading: "page" | "late page" | "snapshot" | "moving";
  readonly pageSize: number;
  /** Whether each subscriber has a replay of its own, which reads its customer's rows alone. */
  readonly filters: boolean;
  /** Whether it gives the row at the cursor too. */
  readonly isInclusive: boolean;
  /** Whether broadcasts are told where they start. */
  readonly saysStart: boolean;
  /** How many rows there are before anybody serves. */
  readonly rowsBefore: number;
}

/** A client that watches one customer's events, or everybody's, and resumes when its subscription fails. */
class Watcher {
  readonly got: number[] = [];
  readonly wrong: string[] = [];
  readonly controller = new AbortController();
  readonly customer: number | undefined;
  /** Everything after it is to come. */
  readonly start: number;
  dropped = 0;
  pending = 0;
  hasLeft = false;
  readonly #world: BroadcastWorld;
  readonly #saysProgress: boolean;
  #process: number;
  #subscription: Subscription<Row, number>;

  constructor(world: BroadcastWorld, process: number, after: number | undefined, customer: number | undefined) {
    this.#world = world;
    this.#process = process;
    this.#saysProgress = customer === 1;
    this.customer = customer;
    this.start = after ?? world.lastPublished(process);
    this.#subscription = this.#subscribe(after);
  }

  read(): void {
    const subscription = this.#subscription;
    this.pending += 1;
    subscription.next().then(
      ({ done, value }) => {
        this.pending -= 1;
        if (!done) this.#take(value);
      },
      (error: unknown) => {
        this.pending -= 1;
        if (subscription === this.#subscription && !this.hasLeft) this.#resume(error);
      },
    );
  }

  leave(): void {
    this.hasLeft = true;
    void this.#subscription.return();
  }

  abort(): void {
    this.hasLeft = true;
    this.controller.abort();
  }

  #subscribe(after: number | undefined) {
    const { customer } = this;
    return this.#world.subscribe(this.#process, customer, {
      after,
      signal: this.controller.signal,
      filter: customer === undefined ? undefined : (row) => row.customer === customer,
      onDropped: (count) => {
        this.dropped += count;
      },
    });
  }

  #take(row: Row): void {
    const last = this.got.at(-1) ?? this.start;
    if (row.revision <= last) this.wrong.push(`${row.revision} came after ${last}`);
    this.got.push(row.revision);
  }

  /** Goes on elsewhere, from the last event, or from where its subscription says that it stood. */
  #resume(error: unknown): void {
    const { reason, code } = error as RpcError;
    const isExpected =
      (error as Error).message === "database" || (reason === "SLOW_SUBSCRIBER" && code === Status.RESOURCE_EXHAUSTED);
    if (!isExpected) this.wrong.push(`failed: ${error}`);
    const progress = this.#saysProgress ? this.#subscription.cursor : undefined;
    this.#process = 1 - this.#process;
    this.#subscription = this.#subscribe(progress ?? this.got.at(-1) ?? this.start);
  }
}

/** One database, two processes that broadcast what is committed to it, and clients that watch. */
export class BroadcastWorld {
  readonly watchers: Watcher[] = [];
  readonly #plan: WorldPlan;
  readonly #rows: Row[] = [];
  readonly #processes: { readonly broadcast: Broadcast<Row, number>; published: number }[];
  readonly #wrong: string[] = [];
  /** Questions that the database has not answered. */
  #questions: PromiseWithResolvers<void>[] = [];
  #openReplays = 0;
  #isInstant = false;

  constructor(plan: WorldPlan) {
    this.#plan = plan;
    for (let row = 0; row < plan.rowsBefore; row += 1) this.actions.commit(row, row);
    this.#processes = [this.#serve(), this.#serve()];
  }

  readonly actions = {
    commit: (gap: number, customer: number) => {
      const revision = (this.#rows.at(-1)?.revision ?? 0) + 1 + (gap % 3);
      this.#rows.push({ revision, customer: customer % 3 });
    },
    publish: (which: number) => this.#publish(which % 2, 1),
    publishAll: (which: number) => this.#publish(which % 2, this.#rows.length),
    repeat: (which: number, value: number) => {
      const { broadcast, published } = this.#process(which % 2);
      // What was before is known to a broadcast only if it was told.
      const known = this.#rows.slice(this.#plan.saysStart ? 0 : this.#plan.rowsBefore, published);
      const row = known[value % Math.max(1, known.length)];
      if (row && broadcast.publish(row)) this.#wrong.push(`${row.revision} was taken twice`);
    },
    subscribe: (which: number, value: number) => {
      const customer = value % 4;
      const isNew = value % 5 === 0;
      // Also between two revisions, and after the last one.
      const after = isNew ? undefined : value % ((this.#rows.at(-1)?.revision ?? 0) + 2);
      this.watchers.push(new Watcher(this, which % 2, after, customer === 3 ? undefined : customer));
    },
    read: (which: number) => this.#watcher(which)?.read(),
    readMuch: (which: number) => {
      for (let reads = 0; reads < 4; reads += 1) this.#watcher(which)?.read();
    },
    answer: (which: number) => this.#questions.splice(which % Math.max(1, this.#questions.length), 1)[0]?.resolve(),
    fail: (which: number) =>
      this.#questions.splice(which % Math.max(1, this.#questions.length), 1)[0]?.reject(new Error("database")),
    leave: (which: number) => this.#watcher(which)?.leave(),
    abort: (which: number) => this.#watcher(which)?.abort(),
    tick: async () => {
      await undefined;
    },
    turn: () => setImmediate(),
  };

  subscribe(process: number, customer: number | undefined, options: SubscribeOptions<Row, number>) {
    const replay = this.#plan.filters ? (after: number) => this.#replay(after, customer) : undefined;
    return this.#process(process).broadcast.subscribe({ ...options, replay });
  }

  lastPublished(process: number): number {
    return this.#rows[this.#process(process).published - 1]?.revision ?? 0;
  }

  /** Lets everybody read to the end, then leave. @returns what is wrong. */
  async finish(): Promise<string[]> {
    this.#isInstant = true;
    for (const question of this.#questions) question.resolve();
    this.#publish(0, this.#rows.length);
    this.#publish(1, this.#rows.length);
    for (const watcher of this.watchers) await this.#readToEnd(watcher);
    const wrong = this.watchers.flatMap((watcher) => this.#judge(watcher));
    for (const watcher of this.watchers) watcher.leave();
    await setImmediate();
    return [...this.#wrong, ...wrong, ...this.#leftOver()];
  }

  #serve() {
    const { history, maxLagMessages, onLag, saysStart } = this.#plan;
    const broadcast = createBroadcast<Row, number>({
      cursorOf: ({ revision }) => revision,
      ...{ history, maxLagMessages, onLag },
      replay: (after) => this.#replay(after, undefined),
      startAfter: saysStart ? (this.#rows.at(-1)?.revision ?? 0) : undefined,
    });
    return { broadcast, published: this.#rows.length };
  }

  #process(which: number) {
    const process = this.#processes[which];
    if (!process) throw new Error(`there is no process ${which}`);
    return process;
  }

  #watcher(which: number): Watcher | undefined {
    const here = this.watchers.filter(({ hasLeft }) => !hasLeft);
    return here[which % Math.max(1, here.length)];
  }

  #publish(which: number, most: number): void {
    const process = this.#process(which);
    for (const row of this.#rows.slice(process.published, process.published + most)) {
      if (!process.broadcast.publish(row)) this.#wrong.push(`${row.revision} was not taken`);
      process.published += 1;
    }
  }

  #select(after: number, customer: number | undefined): Row[] {
    const { isInclusive } = this.#plan;
    const isAfter = ({ revision }: Row) => (isInclusive ? revision >= after : revision > after);
    return this.#rows.filter((row) => isAfter(row) && (customer === undefined || row.customer === customer));
  }

  #replay(after: number, customer: number | undefined): Iterable<Row> | AsyncIterable<Row> | Promise<Iterable<Row>> {
    const { reading, pageSize } = this.#plan;
    // A page that began with what is known already might hold nothing else.
    const page = () => this.#select(after, customer).slice(0, pageSize + 1);
    if (reading === "page") return page();
    if (reading === "late page") return this.#ask().then(page);
    return this.#rowsAfter(after, customer, reading === "snapshot" ? this.#select(after, customer) : undefined);
  }

  async *#rowsAfter(after: number, customer: number | undefined, snapshot: Row[] | undefined): AsyncGenerator<Row> {
    this.#openReplays += 1;
    try {
      let last = after - 1;
      for (;;) {
        await this.#ask();
        const row = (snapshot ?? this.#select(after, customer)).find(({ revision }) => revision > last);
        if (!row) return;
        yield row;
        last = row.revision;
      }
    } finally {
      this.#openReplays -= 1;
    }
  }

  #ask(): Promise<void> {
    const question = Promise.withResolvers<void>();
    if (this.#isInstant) question.resolve();
    else this.#questions.push(question);
    return question.promise;
  }

  /** Reads until nothing more comes. */
  async #readToEnd(watcher: Watcher): Promise<void> {
    for (let idle = 0; idle < 2 && !watcher.hasLeft; ) {
      const before = watcher.got.length;
      if (watcher.pending === 0) watcher.read();
      await setImmediate();
      idle = watcher.got.length === before && watcher.pending > 0 ? idle + 1 : 0;
    }
  }

  #judge(watcher: Watcher): string[] {
    const { got, start, customer, dropped, hasLeft } = watcher;
    const due = this.#rows
      .filter((row) => row.revision > start && (customer === undefined || row.customer === customer))
      .map(({ revision }) => revision);
    const foreign = got.filter((revision) => !due.includes(revision));
    const expected = hasLeft ? due.filter((revision) => revision <= (got.at(-1) ?? 0)) : due;
    const missing = expected.filter((revision) => !got.includes(revision));
    const about = `customer ${customer} after ${start} got [${got}] of [${due}]`;
    return [
      ...watcher.wrong,
      ...(foreign.length > 0 ? [`${about}: [${foreign}] was not for it`] : []),
      ...(missing.length > dropped ? [`${about}: [${missing}] is missing, and ${dropped} were dropped`] : []),
      ...(dropped > 0 && this.#plan.onLag !== "drop-oldest" ? [`${about}: ${dropped} were dropped`] : []),
    ];
  }

  #leftOver(): string[] {
    const stats = this.#processes.map(({ broadcast }) => broadcast.stats());
    const most = Math.max(this.#plan.history, this.#plan.maxLagMessages);
    const listeners = this.watchers.flatMap(({ controller }) => getEventListeners(controller.signal, "abort"));
    return [
      ...stats
        .filter(({ subscribers }) => subscribers > 0)
        .map(({ subscribers }) => `${subscribers} subscribers stayed`),
      ...stats.filter(({ held }) => held > most).map(({ held }) => `${held} messages are held`),
      ...this.watchers.filter(({ pending }) => pending > 0).map(({ pending }) => `${pending} reads stayed open`),
      ...(this.#openReplays > 0 ? [`${this.#openReplays} replays stayed open`] : []),
      ...(listeners.length > 0 ? [`${listeners.length} listeners stayed`] : []),
    ];
  }
}
