import type { CallContext } from "../../core/call-context.ts";
import { type CallerToken, callerToken } from "../../core/caller-token.ts";
import { checkOptions, isObject, type OptionCheck, show } from "../../core/check-options.ts";
import { RpcError } from "../../core/errors.ts";
import { Status } from "../../core/status.ts";
import { bearerHeader } from "./bearer.ts";
import type { CallCredentials, Credentials } from "./credentials.ts";

/** Where callers' tokens go. */
export interface ForwardOptions {
  /**
   * The targets that may be sent them, word for word as clients dial them: whoever has a caller's token can call
   * whatever the caller may. No default.
   */
  readonly targets: readonly string[];
  /** For calls that are not made while serving one, or whose caller came without a token. Default: they fail. */
  readonly otherwise?: Credentials | undefined;
}

const OPTIONS: Readonly<Record<keyof ForwardOptions, OptionCheck>> = {
  targets: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((target) => typeof target === "string")
      ? undefined
      : `must be an array of targets, not empty; it is ${show(value)}`,
  otherwise: isObject,
};

/**
 * Sends the token of the caller who is being served, once it was verified, with the calls that serving it makes. Nothing
 * else of its metadata goes along. A client for any other target refuses to be made with it.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function forwardCallerToken(options: ForwardOptions): Credentials {
  const problems = checkOptions(options, OPTIONS);
  if (options?.targets === undefined) problems.push("targets is missing: say where callers' tokens may go");
  if (problems.length > 0) throw new TypeError(`forwardCallerToken: ${problems.join("; ")}`);
  const { targets, otherwise } = options;
  return {
    forCall(caller) {
      const token = caller && callerToken(caller);
      if (token) return forwarded(token);
      if (otherwise) return otherwise.forCall(caller);
      throw nothingToForward(caller);
    },
    targetProblems: (target) => [
      ...(targets.includes(target) ? [] : [`callers' tokens are forwarded to ${targets.join(", ")} alone`]),
      ...(otherwise?.targetProblems?.(target) ?? []),
    ],
  };
}

/** Answers are kept apart by what is sent, and by nothing else that is known of the caller. */
function forwarded({ token, partition }: CallerToken): CallCredentials {
  return { partition: `caller:${partition}`, headers: () => bearerHeader(token) };
}

function nothingToForward(caller: CallContext | undefined): RpcError {
  const details = caller
    ? "the call being served came without a token that could be forwarded"
    : "no call is being served whose token could be forwarded";
  const code = Status.UNAUTHENTICATED;
  return new RpcError({ path: "", reason: "NO_CREDENTIALS", code, details, attempts: 0 });
}
