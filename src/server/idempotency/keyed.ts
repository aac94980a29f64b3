import type { CallContext } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import type { IdempotencyStore } from "./store.ts";

/** What calls with an idempotency key are served with. */
export interface Keyed {
  readonly store: IdempotencyStore;
  readonly leaseMs: number;
  /** Whether whoever comes next takes an encoded message, which is sent as it was; nice-grpc does not. */
  readonly encoded: boolean;
  readonly clock: Clock;
  readonly observer: Observer | undefined;
  /** Is told when the store fails. */
  readonly onError: (error: unknown, context: CallContext) => void;
}
