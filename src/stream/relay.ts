import { DONE } from "../core/message-stream.ts";
import type { OperatorStream, Result } from "./operator-stream.ts";
import { Upstream } from "./upstream.ts";

/** What `step` returns for a message that is not passed on. */
export const SKIP: unique symbol = Symbol("skip");

type Made<Out> = Result<Out> | typeof SKIP;

/**
 * An operator that makes at most one message out of each, and reads one when it is asked for one. A message costs it
 * one promise: what it waits for is its source's own `next()`.
 */
export abstract class Relay<In, Out> implements OperatorStream<Out> {
  readonly #upstream: Upstream<In>;
  /** Reads under way: each waits for the one before it, or a message that is skipped would upset their order. */
  #underWay = 0;
  #last: Promise<unknown> | undefined;
  #isOver = false;
  #isLeft = false;

  constructor(source: AsyncIterable<In>) {
    this.#upstream = new Upstream(source);
  }

  /** Makes of a message what is passed on. What it throws or rejects with ends the stream. */
  protected abstract step(message: In): Out | typeof SKIP | PromiseLike<Out | typeof SKIP>;

  next(): Promise<Result<Out>> {
    if (this.#isOver) return Promise.resolve(DONE);
    this.#underWay += 1;
    const read =
      this.#underWay === 1 || !this.#last
        ? this.#upstream.next().then(this.#onResult, this.#onError)
        : this.#last.then(this.#readAfter, this.#readAfter);
    this.#last = read;
    return read;
  }

  async return(): Promise<Result<Out>> {
    this.#isLeft = true;
    this.#isOver = true;
    await this.#upstream.leave();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Leaves the source and reads no more. */
  protected stop(): void {
    this.#isOver = true;
    this.#upstream.drop();
  }

  readonly #onResult = (result: IteratorResult<In, unknown>): Result<Out> | Promise<Result<Out>> => {
    try {
      const made = this.#make(result);
      if (made === SKIP || made instanceof Promise) return this.#readOn(made);
      this.#underWay -= 1;
      return made;
    } catch (error) {
      return this.#onError(error);
    }
  };

  readonly #onError = (error: unknown): Result<Out> => {
    this.#underWay -= 1;
    return this.#fail(error);
  };

  readonly #readAfter = (): Promise<Result<Out>> => this.#readOn(SKIP);

  /** A loop, not a chain of promises that would grow with each message skipped. */
  async #readOn(first: Made<Out> | Promise<Made<Out>>): Promise<Result<Out>> {
    try {
      let made = await first;
      while (made === SKIP) made = this.#isOver ? DONE : await this.#make(await this.#upstream.next());
      return this.#isLeft ? DONE : made;
    } catch (error) {
      return this.#fail(error);
    } finally {
      this.#underWay -= 1;
    }
  }

  #make(result: IteratorResult<In, unknown>): Made<Out> | Promise<Made<Out>> {
    if (this.#isOver) return DONE;
    if (result.done) {
      this.#end();
      return DONE;
    }
    try {
      const made = this.step(result.value);
      return isPromiseLike(made) ? this.#whenMade(made) : toResult(made);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  async #whenMade(made: PromiseLike<Out | typeof SKIP>): Promise<Made<Out>> {
    try {
      return toResult(await made);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** What was thrown while nobody reads any more is of no use to anybody: most often it comes of being left. */
  #fail(error: unknown): Result<Out> {
    this.#end();
    if (this.#isLeft) return DONE;
    throw error;
  }

  #end(): void {
    this.#isOver = true;
    this.#upstream.ended();
  }
}

function toResult<Out>(made: Out | typeof SKIP): Made<Out> {
  return made === SKIP ? SKIP : { done: false, value: made };
}

/** Whether something is waited for, a query builder's lazy promise too. */
export function isPromiseLike<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof (value as PromiseLike<Value> | undefined | null)?.then === "function";
}
