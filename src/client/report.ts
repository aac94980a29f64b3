import type { Call } from "../core/call.ts";
import { notify, type Observer } from "../core/observer.ts";

/** What is told of a decision besides its policy and action. */
export type Detail = Readonly<Record<string, string | number | boolean>>;

/** Tells what a policy did about a call. */
export type Report = (call: Call, action: string, detail: Detail) => void;

/**
 * What tells the observer about one policy; undefined if there is no observer, so that nobody makes details in vain.
 *
 * @param target what the client dials, if that is known.
 */
export function reportTo(observer: Observer | undefined, policy: string, target?: string): Report | undefined {
  if (!observer) return undefined;
  const at = target === undefined ? {} : { target };
  return ({ id, method }, action, detail) =>
    notify(observer, { type: "policy", id, method: method.path, ...at, policy, action, detail });
}
