import { Readable } from "node:stream";
import * as ours from "bowline/stream";
import type { Subject } from "../policies/subject.ts";
import * as generators from "./generators.ts";
import { endless, type Message } from "./source.ts";

/** An operator, and what does the same. */
export interface Compared {
  readonly title: string;
  /** Messages per `next()`. */
  readonly messages: number;
  readonly ours: Subject;
  readonly generator?: Subject;
  readonly readable?: Subject;
}

const FOR_EVER = Number.MAX_SAFE_INTEGER;
const SIZE = 10;
const SOURCES = 4;
const CONCURRENCY = 8;
const TIMEOUT_MS = 5_000;

const counter = { seen: 0 };
const next = ({ revision }: Message) => ({ revision: revision + 1 });
const nextLater = async (message: Message) => next(message);
const isWanted = ({ revision }: Message) => revision > 0;
const look = ({ revision }: Message) => {
  counter.seen += revision;
};
const four = () => Array.from({ length: SOURCES }, endless);

/** One call is one `next()` on a stream that never ends. */
function reading(title: string, stream: AsyncIterable<unknown>): Subject {
  const iterator = stream[Symbol.asyncIterator]();
  return { title, call: () => iterator.next() };
}

/** The source, and nothing around it. */
export function bare(): Subject {
  return reading("the source alone", endless());
}

/** Every operator that hands out messages, beside an async generator and, where there is one, Readable's helper. */
export function compared(): readonly Compared[] {
  return [
    row("map", 1, ours.map(endless(), next), generators.map(endless(), next), Readable.from(endless()).map(next)),
    row(
      "filter",
      1,
      ours.filter(endless(), isWanted),
      generators.filter(endless(), isWanted),
      Readable.from(endless()).filter(isWanted),
    ),
    row(
      "take",
      1,
      ours.take(endless(), FOR_EVER),
      generators.take(endless(), FOR_EVER),
      Readable.from(endless()).take(FOR_EVER),
    ),
    row("tap", 1, ours.tap(endless(), look), generators.tap(endless(), look)),
    row("map with a signal", 1, ours.map(endless(), next, { signal: new AbortController().signal })),
    row("map of map of map", 1, ours.map(ours.map(ours.map(endless(), next), next), next), nested()),
    row(`batch of ${SIZE}`, SIZE, ours.batch(endless(), SIZE, TIMEOUT_MS), generators.batch(endless(), SIZE)),
    row(`merge of ${SOURCES}`, 1, ours.merge(four()), generators.merge(four())),
    row(
      `mapConcurrent, ${CONCURRENCY}`,
      1,
      ours.mapConcurrent(endless(), CONCURRENCY, nextLater),
      generators.mapConcurrent(endless(), CONCURRENCY, nextLater),
      Readable.from(endless()).map(nextLater, { concurrency: CONCURRENCY }),
    ),
    row(
      "timeoutBetween",
      1,
      ours.timeoutBetween(endless(), TIMEOUT_MS),
      generators.timeoutBetween(endless(), TIMEOUT_MS),
    ),
    row("buffer, 16 ahead", 1, ours.buffer(endless(), { maxMessages: 16 }), undefined, ahead()),
  ];
}

function nested(): AsyncIterable<unknown> {
  return generators.map(generators.map(generators.map(endless(), next), next), next);
}

function ahead(): AsyncIterable<unknown> {
  return Readable.from(endless(), { highWaterMark: 16 });
}

function row(
  title: string,
  messages: number,
  own: AsyncIterable<unknown>,
  generator?: AsyncIterable<unknown>,
  readable?: AsyncIterable<unknown>,
): Compared {
  return {
    ...{ title, messages, ours: reading(title, own) },
    ...(generator && { generator: reading(`${title}: generator`, generator) }),
    ...(readable && { readable: reading(`${title}: Readable`, readable) }),
  };
}
