import type { Seen, SeenCall, SeenConnection } from "./seen.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A connection, while it is open. */
export type ConnectionRecord = Writable<SeenConnection>;

/** A call, while it is open. */
export type CallRecord = Writable<SeenCall>;

/** Keeps what the proxy saw. */
export class Log {
  readonly now: () => number;
  #connections: ConnectionRecord[] = [];
  #calls: CallRecord[] = [];
  #count = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  connection(): ConnectionRecord {
    this.#count += 1;
    const record: ConnectionRecord = {
      id: this.#count,
      cameAt: this.now(),
      endedAt: undefined,
      protocol: undefined,
      server: "not reached",
      fault: undefined,
      rule: undefined,
    };
    this.#connections.push(record);
    return record;
  }

  call(method: string, connection: number, previousAttempts: number): CallRecord {
    const record: CallRecord = {
      method,
      connection,
      cameAt: this.now(),
      endedAt: undefined,
      previousAttempts,
      server: "not reached",
      fault: undefined,
      rule: undefined,
      end: undefined,
      status: undefined,
      resetCode: undefined,
    };
    this.#calls.push(record);
    return record;
  }

  seen(): Seen {
    return { now: this.now(), connections: this.#connections, calls: this.#calls };
  }

  forget(): void {
    this.#connections = [];
    this.#calls = [];
  }
}
