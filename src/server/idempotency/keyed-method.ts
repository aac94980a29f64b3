import { type CallContext, giveSignal } from "../../core/call-context.ts";
import { fail } from "../../core/errors.ts";
import { EncodedMessage, type Method } from "../../core/method.ts";
import { notify } from "../../core/observer.ts";
import type { ServedContext, ServeUnary } from "../../core/served-call.ts";
import { linkSignals, unlessAborted } from "../../core/signals.ts";
import { tell } from "../../core/warning.ts";
import type { ClaimOutcome } from "../../policy/idempotency.ts";
import { encodeResponse } from "../answers.ts";
import { refuseLate } from "../layers/deadline.ts";
import { answered, silence } from "./answered.ts";
import type { Keyed } from "./keyed.ts";
import { Lease } from "./lease.ts";
import { notKept, offer } from "./offer.ts";
import { OwnRuns } from "./own-runs.ts";
import { type Held, Run, takenOverError } from "./run.ts";
import { fingerprintOf, showIdempotency, storedIdentity } from "./served-key.ts";
import { type Claim, type ClaimWish, idOf } from "./store.ts";
import type { Waiters } from "./waiters.ts";

/** The header of an answer that was kept from an earlier call; Stripe's. */
const REPLAYED = "idempotent-replayed";

/** How often it is asked whether another process has done with a key, in milliseconds: at first, and at the least. */
const FIRST_LOOK_MS = 20;
const MOST_LOOK_MS = 500;

/** How long the client of a call that failed waits at most, in milliseconds, for its key to be free. */
const RELEASE_MS = 100;

/** For how long, in milliseconds, a store has said nothing to a claim where that is told when the call ends. */
const SILENT_MS = 100;

/** The part of a lease, one over this, for which a store is given time to say something. */
const PATIENCE = 3;

/** A key that was obtained: its handler is to run, or has run. */
type Obtained = Extract<Asked, { state: "claimed" | "answered" }>;

/** Its handler is to run. */
type Claimed = Extract<Asked, { state: "claimed" }>;

/** What the store answered, when it was asked, and which handler, without a claim by then, ran here at that time. */
type Asked = ClaimOutcome & { readonly askedAt: number; readonly known: Held | undefined };

/** A claim that is to be given back; without a lease if its handler never ran. */
type Given = Pick<Held, "claim" | "takenOver"> & Partial<Held>;

/** A method that the contract marks, with its handler. */
export class KeyedMethod {
  readonly #keyed: Keyed;
  readonly #waiters: Waiters;
  readonly #method: Method;
  readonly #ttlMs: number;
  readonly #handler: ServeUnary;
  readonly #runs = new OwnRuns();

  constructor(keyed: Keyed, waiters: Waiters, method: Method, ttlMs: number, handler: ServeUnary) {
    this.#keyed = keyed;
    this.#waiters = waiters;
    this.#method = method;
    this.#ttlMs = ttlMs;
    this.#handler = handler;
  }

  /** A client that sends no key asks for no protection. */
  async unprotected(request: unknown, call: ServedContext): Promise<unknown> {
    const run = new Run(this.#keyed.store, this.#method);
    showIdempotency(call, run.view);
    const message = await this.#message(run, request, call);
    return run.committed ? this.#hand(run.committed) : message;
  }

  wish(key: string, request: unknown, { identity }: CallContext): ClaimWish {
    const fingerprint = fingerprintOf(this.#method, request);
    const { leaseMs } = this.#keyed;
    const id = { identity: storedIdentity(identity.key), method: this.#method.path, key };
    return { ...id, fingerprint, leaseMs, ttlMs: this.#ttlMs };
  }

  /**
   * Waits until the handler may run, or an earlier call's answer is there.
   *
   * @throws RpcError INVALID_ARGUMENT for a key of another request, UNAVAILABLE if the store fails, DEADLINE_EXCEEDED;
   *   the signal's reason once it aborts, whatever the store does: a claim that comes too late is given back.
   */
  async obtain(wish: ClaimWish, call: ServedContext): Promise<Obtained> {
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(2 * lookMs, MOST_LOOK_MS)) {
      call.signal.throwIfAborted();
      const outcome = this.#runs.meet(wish) ?? (await this.#claim(wish, call));
      if (outcome.state === "conflict") this.#refuse();
      if (outcome.state !== "running") return outcome;
      if (call.remainingMs() <= 0) fail("DEADLINE_EXCEEDED", "an earlier call with this idempotency key still runs");
      await this.#waiters.wait(idOf(wish), Math.min(lookMs, outcome.leaseMs, call.remainingMs()), call.signal);
    }
  }

  /** The answer of an earlier call. */
  replay(answer: Uint8Array, call: ServedContext): unknown {
    this.#report("replayed");
    call.header.set(REPLAYED, "true");
    return this.#hand(answer);
  }

  /** Runs the handler under a claim that is given back when it has ended, and not before. */
  async run(wish: ClaimWish, claimed: Claimed, request: unknown, call: ServedContext): Promise<unknown> {
    const { store, clock } = this.#keyed;
    const { token, takenOver, askedAt, known } = claimed;
    const claim = { ...wish, token };
    if (takenOver) this.#report("taken-over");
    const lease = new Lease(store, claim, clock, askedAt, (error) => this.#tell(error, call));
    const after = this.#runs.displace(wish, known);
    const held = { claim, takenOver, lease, over: Promise.withResolvers<void>(), after };
    this.#runs.begin(held);
    const over = () => this.#over(held);
    const run = new Run(store, this.#method, held, over);
    const { signal, cleanup } = linkSignals(call.signal, lease.lost);
    showIdempotency(call, run.view);
    giveSignal(call, signal);
    try {
      const answer = await this.#answer(run, held, request, call).finally(() => lease.end());
      if (!run.committed && !(await this.#keep(claim, answer, call))) lease.lose();
      if (!lease.lost.aborted) return this.#hand(answer);
    } catch (error) {
      if (!lease.lost.aborted) throw error;
    } finally {
      cleanup?.();
      over();
    }
    this.#report("lost");
    throw takenOverError(this.#method.path);
  }

  /** Repetitions are to ask the store: the handler has ended, or what it committed is there. */
  #over(held: Held): void {
    this.#runs.end(held);
    held.over.resolve();
    this.#waiters.wake(idOf(held.claim));
  }

  /** An answer as everybody is given it, also who caused it: whoever has its message may have changed that since. */
  #hand(answer: Uint8Array): unknown {
    if (this.#keyed.encoded) return new EncodedMessage(answer);
    // Of a copy: fields of bytes are views of it, and whoever changed one would change what a store in memory keeps.
    return this.#method.response.decode(new Uint8Array(answer));
  }

  /** What the handler comes to, when no commit of it is under way: one needs the claim, and decides on the answer. */
  async #message(run: Run, request: unknown, call: ServedContext): Promise<unknown> {
    try {
      const message = await this.#handler(request, call);
      await run.settled();
      return message;
    } catch (error) {
      await run.settled().catch(() => {});
      throw error;
    }
  }

  /** A handler of this server that the store took for crashed, and that is alive, is to end before another one begins. */
  async #outlive(before: Promise<void>, call: ServedContext): Promise<void> {
    await unlessAborted(before, call.signal);
    refuseLate(call);
  }

  async #answer(run: Run, held: Held, request: unknown, call: ServedContext): Promise<Uint8Array> {
    try {
      if (held.after) await this.#outlive(held.after, call);
      const message = await this.#message(run, request, call);
      return run.committed ?? encodeResponse(this.#method, message);
    } catch (error) {
      // A renewal that finds the claim given back would take it for another's.
      held.lease.end();
      // What was committed stands, whatever the handler said after it.
      if (!run.committed) await this.#release(held, call);
      throw error;
    }
  }

  /**
   * An answer is given only if it is kept: otherwise a repetition might be given another one. It is also kept where
   * nobody waits for it any more.
   *
   * @returns false if another server has taken the call over.
   */
  async #keep(claim: Claim, answer: Uint8Array, call: ServedContext): Promise<boolean> {
    const { store, clock } = this.#keyed;
    const kept = offer(store, claim, answer, clock, (error) => this.#tell(error, call)).catch(notKept);
    try {
      return await unlessAborted(kept, call.signal);
    } catch (error) {
      const wake = () => this.#waiters.wake(idOf(claim));
      // A server that drains would otherwise stop before it is there for repetitions.
      if (call.signal.aborted) call.outlasts(kept.then(wake, wake));
      throw error;
    }
  }

  /** A claim that comes when its call may run no more is given back, and not held for its lease. */
  async #claim(wish: ClaimWish, call: ServedContext): Promise<Asked> {
    const { signal } = call;
    const { clock } = this.#keyed;
    const askedAt = clock.now();
    let heard = false;
    const asked = this.#ask(wish, call).finally(() => {
      heard = true;
    });
    try {
      const outcome = await unlessAborted(asked, signal);
      signal.throwIfAborted();
      if (outcome.state === "claimed") refuseLate(call);
      return outcome;
    } catch (error) {
      const silentMs = clock.now() - askedAt;
      if (!heard && silentMs >= SILENT_MS) this.#tell(silence(silentMs), call);
      asked.then(
        (outcome) => this.#giveBack(wish, outcome, call),
        () => {},
      );
      throw error;
    }
  }

  /** @throws RpcError UNAVAILABLE if the store fails. */
  async #ask(wish: ClaimWish, call: ServedContext): Promise<Asked> {
    try {
      const { store, clock } = this.#keyed;
      const at = { askedAt: clock.now(), known: this.#runs.known(wish) };
      return await this.#confirm(wish, { ...(await store.claim(wish)), ...at }, call);
    } catch (cause) {
      this.#tell(cause, call);
      return fail("UNAVAILABLE", "the store of idempotency keys cannot be asked", { cause });
    }
  }

  /** A claim whose lease may be over when it comes may be another's already. */
  async #confirm(wish: ClaimWish, asked: Asked, call: ServedContext): Promise<Asked> {
    const { store, clock } = this.#keyed;
    if (asked.state !== "claimed" || clock.now() - asked.askedAt < wish.leaseMs) return asked;
    const askedAt = clock.now();
    try {
      const held = await answered(clock, wish.leaseMs / PATIENCE, store.renew({ ...wish, token: asked.token }));
      return held ? { ...asked, askedAt } : { state: "running", leaseMs: 0, askedAt, known: asked.known };
    } catch (error) {
      this.#giveBack(wish, asked, call);
      throw error;
    }
  }

  /** Not waited for: a store may be slow at that, too. */
  #giveBack(wish: ClaimWish, outcome: ClaimOutcome, call: ServedContext): void {
    if (outcome.state !== "claimed") return;
    const { token, takenOver } = outcome;
    void this.#release({ claim: { ...wish, token }, takenOver }, call, wish.leaseMs / PATIENCE);
  }

  /** A claim that cannot be given back ends with its lease. */
  async #release({ claim, takenOver, lease }: Given, call: ServedContext, withinMs = RELEASE_MS): Promise<void> {
    const { store, clock } = this.#keyed;
    try {
      const released = takenOver ? this.#leave(claim, lease) : store.release(claim);
      await answered<unknown>(clock, withinMs, released);
    } catch (error) {
      this.#tell(error, call);
    }
    this.#waiters.wake(idOf(claim));
  }

  /**
   * A claim that was taken over only ends its lease: whoever comes next is to hear, too, that some of the work may be
   * done, and another request is not to have the key. A renewal that came to the store after that would have it hold
   * anew.
   */
  async #leave(claim: Claim, lease: Lease | undefined): Promise<void> {
    await lease?.settled();
    await this.#keyed.store.renew({ ...claim, leaseMs: 0 });
  }

  #refuse(): never {
    this.#report("conflict");
    return fail("INVALID_ARGUMENT", "the idempotency key was used with another request");
  }

  #tell(error: unknown, call: CallContext): void {
    tell("onError threw", () => this.#keyed.onError(error, call));
  }

  #report(action: string): void {
    const { observer } = this.#keyed;
    if (!observer) return;
    notify(observer, { type: "policy", method: this.#method.path, policy: "idempotency", action, detail: {} });
  }
}
