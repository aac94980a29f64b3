import { RpcError, Status } from "bowline";
import type { Shop } from "../shop.ts";
import { brokenStreams } from "./broken-streams.ts";
import { drain } from "./drain.ts";
import { fewFailures, manyFailures } from "./flaky-answers.ts";
import { killedServer } from "./killed-server.ts";
import { lateAnswers } from "./late-answers.ts";
import { lostAnswers } from "./lost-answers.ts";
import { overRate } from "./over-rate.ts";
import { overload } from "./overload.ts";
import { pushback } from "./pushback.ts";
import { readsAndWrites } from "./reads-and-writes.ts";
import { passed, type Result, type Row } from "./row.ts";
import { shedding } from "./shedding.ts";
import { slowCalls } from "./slow-calls.ts";
import { slowReplica } from "./slow-replica.ts";
import { staleAnswers } from "./stale-answers.ts";
import { strangers } from "./strangers.ts";
import { type Column, formatTable, type Line, quantile } from "./table.ts";

/** The rows of the tour, in order. */
export const rows: readonly Row[] = [
  readsAndWrites,
  slowReplica,
  drain,
  fewFailures,
  manyFailures,
  killedServer,
  slowCalls,
  pushback,
  lateAnswers,
  overload,
  shedding,
  overRate,
  strangers,
  staleAnswers,
  lostAnswers,
  brokenStreams,
];

/** How often a row is run, if calls come too late each time. */
const MOST_RUNS = 3;

const COLUMNS: readonly Column[] = [
  { title: "row", maxWidth: 26 },
  { title: "calls", align: "right" },
  { title: "attempts", align: "right" },
  { title: "outcome", maxWidth: 28 },
  { title: "p50 ms", align: "right" },
  { title: "p99 ms", align: "right" },
  { title: "what the policy did", maxWidth: 44 },
  { title: "verdict" },
];

/**
 * Drives the shop through the rows, one after the other. Prints each as it begins, and once all are through the table;
 * below it, what was expected and what came where a row came out wrong.
 *
 * @returns whether every row came out as it must.
 */
export async function runTour(shop: Shop, print: (text: string) => void, tour = rows): Promise<boolean> {
  const results: { row: Row; result: Result }[] = [];
  print("The tour, whose table comes when it is through:\n");
  for (const [n, row] of tour.entries()) {
    print(`${String(n + 1).padStart(4)} of ${tour.length}  ${row.name}`);
    results.push({ row, result: await runRow(row, shop, print) });
  }
  print("");
  print(
    formatTable(
      COLUMNS,
      results.map(({ row, result }) => toLine(row, result)),
    ),
  );
  const wrong = results.filter(({ result }) => !passed(result));
  for (const { row, result } of wrong) print(complaint(row, result));
  print(
    wrong.length === 0
      ? `All ${results.length} rows came out as they must.`
      : `${wrong.length} of ${results.length} rows came out wrong.`,
  );
  return wrong.length === 0;
}

/**
 * A machine that stood still for longer than a deadline makes a row come out wrong with nothing amiss: such a row, and
 * no other, is run again. A fault fails each time.
 */
async function runRow(row: Row, shop: Shop, print: (text: string) => void): Promise<Result> {
  for (let run = 1; ; run++) {
    const result = await row.run(shop).catch(broken);
    const again = !passed(result) && result.late > 0 && run < MOST_RUNS;
    if (again) {
      print("            once more: calls came too late");
      continue;
    }
    return run === 1
      ? result
      : { ...result, policy: `${result.policy} (run ${run}: in the one before, calls came too late)` };
  }
}

/** The result of a row that threw. */
function broken(error: unknown): Result {
  const came = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const check = { what: "the row", expected: "to run to its end", came, holds: false };
  const late = error instanceof RpcError && error.code === Status.DEADLINE_EXCEEDED ? 1 : 0;
  return { calls: 0, attempts: 0, outcome: "broke off", durationsMs: [], policy: "", late, checks: [check] };
}

function toLine(row: Row, result: Result): Line {
  const { calls, attempts, outcome, durationsMs, policy } = result;
  return [
    row.name,
    calls.toLocaleString("en"),
    attempts.toLocaleString("en"),
    outcome,
    quantile(durationsMs, 0.5),
    quantile(durationsMs, 0.99),
    policy,
    passed(result) ? "ok" : "WRONG",
  ];
}

function complaint(row: Row, { checks }: Result): string {
  const wrong = checks.filter(({ holds }) => !holds);
  const lines = wrong.map(({ what, expected, came }) => `  ${what}: expected ${expected}, came ${came}`);
  return [`${row.name}:`, ...(checks.length === 0 ? ["  nothing was checked"] : lines)].join("\n");
}
