import type { Call } from "../../core/call.ts";
import { currentCall, inThisContext } from "../../core/call-context.ts";
import type { CallOptions } from "../../core/call-options.ts";
import { RpcError } from "../../core/errors.ts";
import type { CallCredentials, Credentials } from "./credentials.ts";

/** Where a call's options carry what allows it: layers copy them, and nobody outside can write it. */
const ALLOWED_BY = Symbol("bowline.credentials");

type Allowed = CallOptions & { readonly [ALLOWED_BY]?: CallCredentials };

/** What allows a call; undefined if nothing is sent for that. */
export function credentialsOf({ options }: Pick<Call, "options">): CallCredentials | undefined {
  return (options as Allowed)[ALLOWED_BY];
}

/** Whether a call shares no answers, no attempts and no batches, as nobody can tell whom it is made for. */
export function sharesNothing({ options }: Pick<Call, "options">): boolean {
  const allowed = credentialsOf({ options });
  return allowed !== undefined && allowed.partition === undefined && known(options.partition) === undefined;
}

/** What is to be said of a call that other calls become a part of: they are all of one partition. */
export function credentialOption(options: CallOptions): CallOptions {
  const allowed = (options as Allowed)[ALLOWED_BY];
  return allowed ? ({ [ALLOWED_BY]: allowed } as CallOptions) : {};
}

/**
 * The call with what allows it, which is found out here, where the call being served is still to be seen: retries and
 * hedges may begin where it is not.
 *
 * @param partition whom the client calls for, unless the call says it.
 * @throws RpcError NO_CREDENTIALS if there is nothing that would allow it.
 */
export function withCredentials(call: Call, credentials: Credentials, partition: string | undefined): Call {
  // The call says who is calling, as its metadata says; answers are kept apart by that too. A batch is allowed by what
  // allows the calls in it.
  if (call.metadata?.has("authorization") || credentialsOf(call)) return call;
  const { options, method } = call;
  const allowed = begin(credentials, method.path);
  const whom = known(options.partition ?? partition);
  const apart = JSON.stringify([allowed.partition, whom ?? ""]);
  const isKnown = allowed.partition !== undefined || whom !== undefined;
  const said = isKnown ? { partition: apart } : {};
  const extended: Allowed = { ...options, ...said, [ALLOWED_BY]: allowed };
  return { ...call, options: extended };
}

/** Whom a call is made for, if that is known: a session without a user gives an empty text, or what is no text. */
function known(partition: unknown): string | undefined {
  return typeof partition === "string" && partition !== "" ? partition : undefined;
}

function begin(credentials: Credentials, path: string): CallCredentials {
  try {
    const allowed = credentials.forCall(currentCall());
    const inContext = inThisContext();
    return {
      partition: known(allowed.partition),
      // Attempts of a batch, and of what calls share, begin in nobody's context.
      headers: (attempt) => inContext(() => allowed.headers(attempt)),
      rejected: (sent) => allowed.rejected?.(sent),
    };
  } catch (cause) {
    throw noCredentials(path, cause);
  }
}

/** Why a call could not be sent: nothing was had that would have allowed it. */
export function noCredentials(path: string, cause: unknown): RpcError {
  if (cause instanceof RpcError && cause.reason === "NO_CREDENTIALS") return cause.with({ path });
  const details = "no credentials could be had for the call: nothing was sent";
  return new RpcError({ path, reason: "NO_CREDENTIALS", details, attempts: 0, cause });
}
