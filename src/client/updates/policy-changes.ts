import type { ClientMiddleware } from "nice-grpc-common";
import type {
  BatchPolicy,
  BreakerPolicy,
  CoalescePolicy,
  HeartbeatPolicy,
  MethodPolicy,
  ResumePolicy,
  ServicePolicy,
} from "../../contract/policy.ts";
import type { MiddlewareCallOptions } from "../client-middleware.ts";

/**
 * A policy as an update says it: a setting that is named holds in place of the contract's, `null` takes it away, so that
 * its default holds, and one that is left out is as the contract says. A list is replaced as a whole.
 */
export type Changes<Policy> = { readonly [Setting in keyof Policy]?: Policy[Setting] | null | undefined };

/** A policy, or a single setting, as an update says it; `null` takes it away. */
type Change<Said> = (Said extends object ? Changes<Said> : Said) | null;

/** Each policy of a service or method, as an update says it. */
type EachChange<Policies> = { readonly [Name in keyof Policies]?: Change<NonNullable<Policies[Name]>> | undefined };

/** What a server goes by: its own contract says that, and nobody's client. */
type OfServer = "auth" | "rateLimit" | "shed";

/** What only client and server together can change. */
type AgreedOn = "idempotencyKey";

/**
 * What an update says for all methods of a service, of each of its policies that clients go by; `null` takes away what
 * the contract says.
 */
export interface ServiceChanges extends EachChange<Omit<ServicePolicy, OfServer>> {}

/** What resume does; what its fields mean, and where a stream begins, is for the contract to say. */
type ResumeSettings = Omit<ResumePolicy, "requestField" | "cursorField" | "progressField" | "limitField" | "fromStart">;

/** The policies of a method of which an update cannot say all. */
interface BoundedChanges {
  readonly breaker?: Changes<Omit<BreakerPolicy, "scope">> | null | undefined;
  readonly coalesce?: CoalescePolicy | null | undefined;
  readonly batch?: Changes<Pick<BatchPolicy, "maxSize" | "maxWaitMs">> | null | undefined;
  readonly resume?: Changes<ResumeSettings> | undefined;
  /** What this client takes for a stall; the server sends as often as its own contract says. */
  readonly heartbeat?: Changes<Omit<HeartbeatPolicy, "field">> | undefined;
}

/**
 * What an update says for one method, of each of its policies that clients go by; `null` takes away what the contract
 * says, and then the service's holds, if it says anything. Resume, heartbeat and batch go by fields that the contract
 * alone can name: their settings can change where it has them. Without the first two, an application would be handed
 * messages that are none, so these stay.
 */
export interface MethodChanges
  extends EachChange<Omit<MethodPolicy, OfServer | AgreedOn | keyof BoundedChanges>>,
    BoundedChanges {}

/** What of a contract's policies is to be otherwise while a client runs. */
export interface PolicyChanges<Client = object> {
  /** For all methods. Default: as the contract says. */
  readonly service?: ServiceChanges | undefined;
  /** For single methods, by their names in the client. Default: as the contract says. */
  readonly methods?: { readonly [Name in MethodName<Client>]?: MethodChanges | undefined } | undefined;
}

/** The methods of a client, without what else it has. */
type MethodName<Client> = {
  [Name in keyof Client]: Client[Name] extends (request: never, options?: never) => unknown ? Name & string : never;
}[keyof Client];

/** Where call options carry the type of the client that they are for; never set. */
declare const client: unique symbol;

/**
 * What a contract's middleware adds to nice-grpc's call options. The middleware itself must be nice-grpc's own
 * `ClientMiddleware` by name: `use()` learns what is added from nothing that extends it.
 */
export interface ContractCallOptions<Client> extends MiddlewareCallOptions {
  readonly [client]?: Client;
}

/** The client that a middleware is for; a client itself. */
export type ClientBehind<Owner> = Owner extends ClientMiddleware<ContractCallOptions<infer Client>> ? Client : Owner;
