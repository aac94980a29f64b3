import { quantile } from "../median.ts";
import { answered } from "./figures.ts";
import {
  CAPACITY,
  OVERLOAD_SCALE,
  type OverloadRow,
  type OverloadRun,
  overloadRows,
  SETTLE_SECONDS,
} from "./overload.ts";
import type { Measured } from "./pair.ts";
import { type Gate, type Section, table } from "./section.ts";

/** Which share of its capacity a server must do at twice the load. */
const LEAST = 0.9;

const HEAD = [
  "",
  "goodput at 1×",
  "at 2×",
  "attempts per call at 2×",
  "p99 of the answered at 2×",
  "reference",
  "goodput at 1×",
  "at 2×",
  "attempts per call at 2×",
];

/** What an overload leaves of a server's capacity. */
export function overloadSection(measured: readonly Measured<OverloadRun>[]): Section {
  const found = (row: OverloadRow) => measured.filter(({ run }) => run.row === row);
  const rows = overloadRows.map((row) => cells(row, found(row)));
  const gates = overloadRows.filter(({ gated }) => gated).flatMap((row) => found(row).flatMap(gate));
  return { text: `${text()}\n\n${table([HEAD, ...rows])}`, gates };
}

function cells({ title, reference }: OverloadRow, measured: readonly Measured<OverloadRun>[]): string[] {
  const [twice, once] = measured;
  if (!twice || !once) return [title];
  const { row = "", atOnce = "", atTwice = "", attempts = "" } = reference ?? {};
  const took = twice.outcome.calls.filter(({ ok, atMs }) => ok && atMs >= SETTLE_SECONDS * 1_000);
  const p99 = quantile(
    took.map(({ tookMs }) => tookMs),
    0.99,
  );
  return [
    title,
    percent(goodput(once)),
    percent(goodput(twice)),
    twice.outcome.attemptsPerCall.toFixed(2),
    Number.isNaN(p99) ? "–" : `${Math.round(p99 / OVERLOAD_SCALE)} ms`,
    row,
    String(atOnce),
    String(atTwice),
    attempts,
  ];
}

/** Calls answered in time, as a share of what the workers can do. */
function goodput({ run, outcome }: Measured<OverloadRun>): number {
  const { seconds } = run.load;
  return answered(outcome.calls, SETTLE_SECONDS * 1_000, seconds * 1_000) / ((seconds - SETTLE_SECONDS) * CAPACITY);
}

function gate(one: Measured<OverloadRun>): Gate[] {
  const { row, times } = one.run;
  if (times !== 2) return [];
  const found = goodput(one);
  const text = `${row.title}: ${percent(found)} % of capacity at 2×, at least ${percent(LEAST)} %`;
  return [{ passes: found >= LEAST, text }];
}

function percent(share: number): string {
  return String(Math.round(share * 100));
}

function text(): string {
  return `## Goodput under overload

Calls answered before their deadline, as a percentage of capacity, under a load of as much as the workers can do and of
twice as much. 10 workers, work of ${10 * OVERLOAD_SCALE} ms on average, a deadline of ${100 * OVERLOAD_SCALE} ms: ${OVERLOAD_SCALE} times the reference's, so that ${CAPACITY}
calls per second fill them. The p99 is divided by ${OVERLOAD_SCALE}; the reference has 56 ms for a limit of 20, 70 for Gradient2. What a row
does not name is switched off, and what it names has its defaults. A loop makes its next attempt at once, each within
${30 * OVERLOAD_SCALE} ms where nothing refuses. The reference's limits are the server's, and its runs last longer: queues that
grow slowly, as at 1×, are shorter here.

A handler that refuses half of its calls with UNAVAILABLE looks like one that fails, and the last row's breaker opens:
that is what a breaker is for. Where a server sheds, its clients know that it is well, and their breakers take no
notice.`;
}
