import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { cannotBeSent, forbiddenKey, unsendable } from "../../core/metadata-keys.ts";
import { noCredentials } from "../credentials/call-credentials.ts";
import type { CallCredentials, Sent } from "../credentials/credentials.ts";
import { watchCall } from "./watch-call.ts";

/** What each attempt's credentials are had with. */
export interface CredentialsContext {
  readonly clock: Clock;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
}

/** What an attempt sends. Nothing of it has to be given back. */
export interface Obtained {
  readonly sent: Sent;
  release(): void;
}

/**
 * An attempt that waits for its credentials, for no longer than its caller, its deadline and the client: what is fetched
 * for it then goes on for others.
 */
export class CredentialWait {
  /** Rejects with what ended the wait. */
  readonly permit: Promise<Obtained>;
  readonly #controller = new AbortController();
  #reject: (error: unknown) => void = () => {};
  #cleanup: (() => void) | undefined;

  constructor(allowed: CallCredentials, call: Call, context: CredentialsContext) {
    this.permit = new Promise((resolve, reject) => {
      this.#reject = reject;
      const leave = (error: unknown) => this.leave(error);
      this.#cleanup = watchCall(call, { what: "its credentials", ...context, leave });
      // Nobody waits any more: a source is not asked in vain.
      if (!this.#cleanup) return;
      this.#obtain(allowed, call).then(
        (sent) => {
          this.#cleanup?.();
          resolve({ sent, release: () => {} });
        },
        (error: unknown) => this.leave(error),
      );
    });
  }

  /** Ends the wait. @param error what `permit` rejects with, if anybody is to be told. */
  leave(error?: unknown): void {
    this.#cleanup?.();
    this.#controller.abort(error);
    this.#reject(error);
  }

  async #obtain(allowed: CallCredentials, { method }: Call): Promise<Sent> {
    try {
      const sent = await allowed.headers({ method, signal: this.#controller.signal });
      for (const [key, value] of Object.entries(sent)) {
        const problem = forbiddenKey(key) ?? unsendable(key, value);
        if (problem) throw new TypeError(cannotBeSent("credential", key, problem));
      }
      return sent;
    } catch (cause) {
      throw noCredentials(method.path, cause);
    }
  }
}

/** The attempt with what allows it. */
export function allowedAttempt(call: Call, sent: Sent, { clock }: CredentialsContext): Call {
  return { ...call, headers: { ...call.headers, ...sent }, startedAt: clock.now() };
}
