import type { MethodPolicy } from "../../contract/policy.ts";
import { CRITICALITY_KEY } from "../../core/criticality.ts";
import type { Method } from "../../core/method.ts";
import { Coalescing } from "../../policy/coalescing.ts";
import { CALL_OPTIONS } from "../call-option-names.ts";
import type { ClientState } from "../client-state.ts";
import type { Fallback } from "../fallbacks.ts";
import { cacheLayer } from "../layers/cache.ts";
import { coalesceLayer } from "../layers/coalesce.ts";
import { fallbackLayer } from "../layers/fallback.ts";
import { type KeyOf, shareKeyOf } from "../layers/share-key.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";

/** What a method's answers are shared by. */
export type SharingPolicy = Pick<MethodPolicy, "coalesce" | "cache">;

/** What holds for the calls that share. */
export interface SharingOptions {
  /** How long a call may take if nobody narrows it, in milliseconds; Infinity for no limit. */
  readonly timeoutMs: number;
  /** Whom calls are made for that say nothing of it. Default: all share. */
  readonly partition?: string | undefined;
  /** What answers when no answer can be had. Default: nothing. */
  readonly fallback?: Fallback | undefined;
}

/** The layers by which calls of one method share answers: none, unless it is unary and has no side effects. */
export function sharingLayers(
  policy: SharingPolicy,
  method: Method,
  state: ClientState,
  options: SharingOptions,
): Layers {
  if (method.kind !== "unary" || method.idempotency !== "NO_SIDE_EFFECTS") return {};
  const keyOf: KeyOf = (call) => shareKeyOf(call, options.partition ?? "", CALL_OPTIONS);
  return {
    ...fallbackLayers(options, state),
    ...cacheLayers(policy, method, keyOf, state, options),
    ...coalesceLayers(policy, keyOf, state, options),
  };
}

function fallbackLayers({ fallback }: SharingOptions, state: ClientState): Layers {
  if (!fallback) return {};
  const { observer, target } = state.surroundings;
  return { fallback: fallbackLayer({ fallback, report: reportTo(observer, "fallback", target) }) };
}

function cacheLayers(
  { cache }: SharingPolicy,
  { path }: Method,
  keyOf: KeyOf,
  state: ClientState,
  options: SharingOptions,
): Layers {
  if (!cache) {
    state.dropCache(path);
    return {};
  }
  const { clock, observer, target } = state.surroundings;
  const context = { keyOf, timeoutMs: options.timeoutMs, clock, closed: state.closed };
  const report = reportTo(observer, "cache", target);
  return { cache: cacheLayer({ ...context, cache: state.cache(path, cache), report }) };
}

function coalesceLayers(
  { coalesce }: SharingPolicy,
  keyOf: KeyOf,
  state: ClientState,
  options: SharingOptions,
): Layers {
  if (!coalesce) return {};
  const { clock, observer, target } = state.surroundings;
  const report = reportTo(observer, "coalesce", target);
  const { timeoutMs } = options;
  const key = apart(keyOf);
  return { coalesce: coalesceLayer({ coalescing: new Coalescing(), keyOf: key, timeoutMs, clock, report }) };
}

/** A call that matters more does not share the attempt of one that is refused first. */
function apart(keyOf: KeyOf): KeyOf {
  return (call) => {
    const key = keyOf(call);
    return key && { ...key, text: `${call.headers?.[CRITICALITY_KEY] ?? ""}\n${key.text}` };
  };
}
