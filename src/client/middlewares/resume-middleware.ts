import type { ClientMiddleware } from "nice-grpc-common";
import { type CursorAccess, type CursorType, EMPTY_CURSORS } from "../../contract/cursor.ts";
import { isNumber, valueProblems, wellTyped } from "../../contract/option-problems.ts";
import type { ResumePolicy, RetryBudgetPolicy } from "../../contract/policy.ts";
import { checkResume } from "../../contract/validate-streams.ts";
import type { CallOptions } from "../../core/call-options.ts";
import {
  arePaths,
  checkOptions,
  isBoolean,
  isFunction,
  isObject,
  isOneOf,
  type OptionCheck,
} from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";
import { streamLayers } from "../policy-layers/stream-layers.ts";
import { areNames, budgetProblems, isName, perMethod } from "./single-policy.ts";

/** What `resume()` takes: a resume policy, its fields by their names in the generated messages. */
export interface ResumeMiddlewareOptions extends ResumePolicy {
  /** The protobuf type of the position. Numbers have an order; others are compared for equality. Default: `int64`. */
  readonly cursorType?: CursorType | undefined;
  /**
   * The server-streams that are resumed, by path: `/shop.orders.v1.OrderService/WatchOrders`. Reopening repeats the call:
   * name none for which that is not safe. No default.
   */
  readonly methods: readonly string[];
  /** How many reopenings may be under way. Default: 3, and as many as are 10 % of the calls in 10 s. */
  readonly retryBudget?: RetryBudgetPolicy | undefined;
  /** Is told of each reopening. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** For tests. Default: the machine's. */
  readonly random?: Random | undefined;
}

/** What `resume()` adds to nice-grpc's call options. */
export type ResumeCallOptions = Pick<CallOptions<object, unknown>, "retry" | "onExpired">;

const OWN_OPTIONS: OwnOptions = {
  retry: true,
  onExpired: true,
  signal: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
};

const OPTIONS: Readonly<Record<keyof ResumeMiddlewareOptions, OptionCheck>> = {
  ...{ requestField: isName, cursorField: isName, progressField: isName, limitField: isName },
  ...{ cursorType: isOneOf(...Object.keys(EMPTY_CURSORS)), methods: arePaths, fromStart: isBoolean, codes: areNames },
  ...{ maxFailures: isNumber, initialBackoffMs: isNumber, maxBackoffMs: isNumber, multiplier: isNumber },
  ...{ jitter: isOneOf("full", "equal", "decorrelated", "a6"), retryBudget: isObject },
  ...{ observer: isFunction, clock: isObject, random: isFunction },
};

/** What must be given. */
const MISSING = [
  ["methods", "name the streams, by path"],
  ["requestField", "name the field of the generated message"],
  ["cursorField", "name the field of the generated message"],
] as const;

/**
 * Resume as one nice-grpc client middleware:
 * `createClientFactory().use(resume({ methods, requestField: "afterRevision", cursorField: "revision" }))`. A
 * server-stream that breaks is reopened after the last message delivered, by rules S1 to S5. Calls of other methods pass
 * untouched. Make one per channel: the retry budget that reopenings draw on is its own. A stream whose messages lack
 * `cursorField` ends with a TypeError at the first of them; whether requests have `requestField` nice-grpc does not tell.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function resume(options: ResumeMiddlewareOptions): ClientMiddleware<ResumeCallOptions> {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`resume: ${problems.join("; ")}`);
  const { methods, retryBudget, clock = systemClock, random = systemRandom, observer, cursorType = "int64" } = options;
  const state = new ClientState({ clock, random, observer, target: undefined }, undefined, retryBudget);
  const cursors = cursorsOf(options, cursorType);
  const find = perMethod((method) => {
    const resumes = method.kind === "server-stream" && methods.includes(method.path);
    return resumes ? aroundNice(method, streamLayers({ resume: options, ...cursors }, state), clock) : undefined;
  });
  return niceMiddleware(find, OWN_OPTIONS);
}

/** Of what type a 64-bit number is in the generated messages, nobody tells but those that came before. */
function cursorsOf({ requestField, cursorField, progressField, limitField }: ResumePolicy, type: CursorType) {
  let seen: unknown;
  const access: CursorAccess = {
    ...{ type, requestField, cursorField },
    ...(progressField !== undefined && { progressField }),
    ...(limitField !== undefined && { limitField }),
    read: (response) => {
      const cursor = readCursor(response as object, cursorField);
      seen ??= cursor;
      return cursor;
    },
    write: (request, cursor) => ({ ...(request as object), [requestField]: cursor }),
  };
  return { access, emptyCursor: () => seen };
}

/** @throws TypeError where generated messages have no such field: no break would be mended, or all would begin anew. */
function readCursor(response: object, field: string): unknown {
  if (field in response) return Reflect.get(response, field);
  const there = Object.keys(response).join(", ");
  throw new TypeError(`resume: the generated messages have no field ${field} (cursorField); there are ${there}`);
}

function problemsOf(options: ResumeMiddlewareOptions): string[] {
  const known = wellTyped(options, OPTIONS);
  const missing = MISSING.filter(([name]) => options?.[name] === undefined);
  return [
    ...checkOptions(options, OPTIONS),
    ...missing.map(([name, remedy]) => `${name} is missing: ${remedy}`),
    ...valueProblems(options, OPTIONS, checkResume).map(({ path, message }) => `${path.slice(1).join(".")} ${message}`),
    ...budgetProblems(known.retryBudget),
  ];
}
