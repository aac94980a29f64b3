import type { Clock } from "bowline";
import {
  batch,
  buffer,
  filter,
  latest,
  map,
  mapConcurrent,
  merge,
  type OperatorStream,
  take,
  tap,
  timeoutBetween,
} from "bowline/stream";

/** What is done to each operator's stream. */
export interface Given {
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** What callbacks do with a message besides. */
  readonly visit?: (message: number) => unknown;
}

/** An operator over a stream of numbers, and what holds for it. */
export interface OperatorCase {
  readonly name: string;
  make(source: AsyncIterable<number>, given: Given): OperatorStream<unknown>;
  /** How many messages it may have read that nobody has been given. */
  readonly readsAhead: number;
  /** Whether every message is handed out, in order; otherwise some of them, in order. */
  readonly keeps: "all" | "some" | "first 3" | "even ones";
  /** Whether a callback sees each message. */
  readonly calls: boolean;
  /** Whether the promise that it returns is waited for. */
  readonly awaits: boolean;
  /** Whether a pending `next()` is done when the stream is left, even if its source's is not. */
  readonly settlesByItself: boolean;
}

const plain = { readsAhead: 0, keeps: "all", calls: false, awaits: false, settlesByItself: true } as const;
const relay = { ...plain, calls: true, settlesByItself: false } as const;
const nothing = () => undefined;

/** Calls back with a message, and returns it as it is. */
function seen(visit: (message: number) => unknown, message: number): number {
  visit(message);
  return message;
}

/** Does so, and waits for it. */
async function awaited(visit: (message: number) => unknown, message: number): Promise<number> {
  await visit(message);
  return message;
}

/** Every operator; none changes a message, so that what comes out can be compared with what went in. */
export const operators: readonly OperatorCase[] = [
  {
    ...relay,
    name: "map",
    make: (source, { visit = nothing, ...options }) => map(source, (message) => seen(visit, message), only(options)),
  },
  {
    ...relay,
    name: "map with a promise",
    awaits: true,
    make: (source, { visit = nothing, ...options }) => map(source, (message) => awaited(visit, message), only(options)),
  },
  {
    ...relay,
    name: "filter",
    keeps: "even ones",
    make: (source, { visit = nothing, ...options }) =>
      filter(source, (message) => seen(visit, message) % 2 === 0, only(options)),
  },
  {
    ...relay,
    name: "filter with a promise",
    keeps: "even ones",
    awaits: true,
    make: (source, { visit = nothing, ...options }) =>
      filter(source, async (message) => (await awaited(visit, message)) % 2 === 0, only(options)),
  },
  { ...relay, calls: false, name: "take", keeps: "first 3", make: (source, options) => take(source, 3, only(options)) },
  {
    ...relay,
    name: "tap",
    make: (source, { visit = nothing, ...options }) => tap(source, (message) => void visit(message), only(options)),
  },
  {
    ...relay,
    name: "tap with a promise",
    awaits: true,
    make: (source, { visit = nothing, ...options }) => tap(source, (message) => awaited(visit, message), only(options)),
  },
  { ...plain, name: "batch", readsAhead: 3, make: (source, options) => batch(source, 3, 100, timed(options)) },
  { ...plain, name: "merge", readsAhead: 1, make: (source, options) => merge([source], only(options)) },
  {
    ...plain,
    name: "mapConcurrent",
    readsAhead: 3,
    calls: true,
    make: (source, { visit = nothing, ...options }) =>
      mapConcurrent(source, 3, (message) => seen(visit, message), only(options)),
  },
  {
    ...plain,
    name: "mapConcurrent, unordered",
    readsAhead: 3,
    calls: true,
    awaits: true,
    make: (source, { visit = nothing, ...options }) =>
      mapConcurrent(source, 3, (message) => awaited(visit, message), { ...only(options), ordered: false }),
  },
  {
    ...plain,
    name: "timeoutBetween",
    make: (source, options) => timeoutBetween(source, 100, timed(options)),
  },
  {
    ...plain,
    name: "latest",
    readsAhead: Number.POSITIVE_INFINITY,
    keeps: "some",
    make: (source, options) => latest(source, timed(options)),
  },
  {
    ...plain,
    name: "buffer, block",
    readsAhead: 3,
    make: (source, options) => buffer(source, { ...timed(options), maxMessages: 3 }),
  },
  ...(["drop-oldest", "drop-newest", "latest-by-key"] as const).map(
    (overflow): OperatorCase => ({
      ...plain,
      name: `buffer, ${overflow}`,
      readsAhead: Number.POSITIVE_INFINITY,
      keeps: "some",
      calls: overflow === "latest-by-key",
      make: (source, { visit = nothing, ...options }) => {
        const key = (message: number) => seen(visit, message);
        return buffer(source, {
          ...timed(options),
          maxMessages: 3,
          overflow,
          ...(overflow === "latest-by-key" && { key }),
        });
      },
    }),
  ),
];

function only({ signal }: Given) {
  return { signal };
}

function timed({ signal, clock }: Given) {
  return { signal, clock };
}
