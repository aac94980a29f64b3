import { RpcError } from "../../core/errors.ts";
import type { Idempotency } from "../../core/idempotency.ts";
import type { Method } from "../../core/method.ts";
import { Status } from "../../core/status.ts";
import { encodeResponse } from "../answers.ts";
import type { Lease } from "./lease.ts";
import type { Claim, IdempotencyStore } from "./store.ts";

/** A claim as its handler sees it. */
export interface Held {
  readonly claim: Claim;
  readonly takenOver: boolean;
  readonly lease: Lease;
  /** Resolves when the handler has ended, or has committed. */
  readonly over: PromiseWithResolvers<void>;
  /** What is to be over before the handler begins. */
  readonly after: Promise<void> | undefined;
}

/** One run of a handler of a marked method; without a claim if its client sent no key. */
export class Run {
  readonly #store: IdempotencyStore;
  readonly #method: Method;
  readonly #held: Held | undefined;
  readonly #onCommit: () => void;
  #begun = false;
  #committed: Uint8Array | undefined;
  #committing: Promise<unknown> | undefined;

  /** @param onCommit is told when the answer is kept, while the handler may still go on. */
  constructor(store: IdempotencyStore, method: Method, held?: Held, onCommit: () => void = () => {}) {
    this.#store = store;
    this.#method = method;
    this.#held = held;
    this.#onCommit = onCommit;
  }

  /** The bytes of what the handler committed, if it did. */
  get committed(): Uint8Array | undefined {
    return this.#committed;
  }

  /**
   * Resolves when no commit is under way: a handler may return without having waited for its own.
   *
   * @throws what a commit fails with that was still under way.
   */
  async settled(): Promise<void> {
    await this.#committing;
  }

  /** What the handler sees of it. */
  get view(): Idempotency {
    const { claim, takenOver = false } = this.#held ?? {};
    return {
      key: claim?.key,
      token: claim?.token,
      takenOver,
      commit: (db, work) => this.#commit(db, work as (tx: object) => unknown) as Promise<never>,
    };
  }

  async #commit(db: object, work: (tx: object) => unknown): Promise<unknown> {
    const { path } = this.#method;
    if (!this.#store.commit) {
      throw new TypeError(`${path}: idempotency.commit needs a store in a database; return the answer instead`);
    }
    if (this.#begun) throw new TypeError(`${path}: idempotency.commit was called before; a call has one answer`);
    this.#begun = true;
    this.#committing = this.#transact(db, work);
    try {
      return await this.#committing;
    } finally {
      this.#committing = undefined;
    }
  }

  async #transact(db: object, work: (tx: object) => unknown): Promise<unknown> {
    let answer: { readonly message: unknown; readonly bytes: Uint8Array } | undefined;
    const encode = (message: unknown) => {
      answer = { message, bytes: encodeResponse(this.#method, message) };
      return answer.bytes;
    };
    const made = (tx: object) => {
      const message = work(tx);
      // A database whose transactions are one step cannot wait for work.
      return isPromise(message) ? message.then(encode) : encode(message);
    };
    if (!(await this.#inTransaction(db, made))) this.#lose();
    // There is nothing more to hold; and an answer that is kept for less time than its handler goes on would look lost.
    this.#held?.lease.end();
    this.#committed = answer?.bytes;
    this.#onCommit();
    return answer?.message;
  }

  /** What was rolled back may be tried again, as databases ask for when two transactions are at odds. */
  async #inTransaction(db: object, made: (tx: object) => Uint8Array | Promise<Uint8Array>): Promise<boolean> {
    try {
      return (await this.#store.commit?.(db, made, this.#held?.claim)) ?? false;
    } catch (error) {
      this.#begun = false;
      throw error;
    }
  }

  #lose(): never {
    this.#held?.lease.lose();
    throw takenOverError(this.#method.path);
  }
}

/** What a call ends with whose key another server has taken over: a repetition gets that one's answer. */
export function takenOverError(path: string): RpcError {
  const details = "another server has taken this call over; repeat it for its answer";
  return new RpcError({ path, reason: "REFUSED", code: Status.UNAVAILABLE, details });
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
