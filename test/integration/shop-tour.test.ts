import { RpcError } from "bowline";
import { describe, expect, test } from "vitest";
import type { Shop } from "../../examples/shop/shop.ts";
import * as drain from "../../examples/shop/tour/drain.ts";
import { NOTHING, type ServedCounts } from "../../examples/shop/tour/instruments.ts";
import * as reads from "../../examples/shop/tour/reads-and-writes.ts";
import { type Check, passed, type Result, type Row, same, within } from "../../examples/shop/tour/row.ts";
import * as slow from "../../examples/shop/tour/slow-replica.ts";
import { formatTable } from "../../examples/shop/tour/table.ts";
import { Tally } from "../../examples/shop/tour/tally.ts";
import { runTour } from "../../examples/shop/tour/tour.ts";

function served(started: number, others: Partial<ServedCounts> = {}): ServedCounts {
  return { ...NOTHING, started, ...others };
}

function wrong(checks: readonly Check[]): string[] {
  return checks.filter(({ holds }) => !holds).map(({ what }) => what);
}

describe("reads and writes", () => {
  const seen: reads.Seen = {
    calls: 426,
    attempts: 426,
    succeeded: 426,
    served: {
      GetOrder: served(424, { answered: 424 }),
      GetUser: served(62, { answered: 62 }),
      ListOrders: served(1, { answered: 1 }),
    },
    readBack: 60,
    imported: 200,
    listed: 260,
    listedCents: 5n,
    orderedCents: 5n,
    quoted: 50,
  };

  test("passes what it should see", () => expect(wrong(reads.judge(seen))).toEqual([]));

  test.each<[string, Partial<reads.Seen>, string]>([
    ["a call fails", { succeeded: 425 }, "calls that succeeded"],
    ["a call takes two attempts", { attempts: 427 }, "attempts"],
    [
      "a service saw fewer calls",
      { served: { ...seen.served, ListOrders: NOTHING } },
      "calls that arrived, second hops included",
    ],
    ["a handler did not answer", { served: { ...seen.served, ListOrders: served(1) } }, "calls that handlers answered"],
    ["an order is not read back", { readBack: 59 }, "created orders that were read back the same"],
    ["an import is lost", { imported: 199 }, "imported orders"],
    ["an order is not listed", { listed: 259 }, "orders listed of the new customer"],
    ["money is lost", { listedCents: 4n }, "sum of the listed orders in cents"],
    ["a quote is wrong", { quoted: 49 }, "baskets quoted right, in order"],
  ])("fails when %s", (_, change, what) => expect(wrong(reads.judge({ ...seen, ...change }))).toEqual([what]));
});

describe("a slow replica", () => {
  const stopped = served(20, { stopped: 20, mostRemainingMs: 300 });
  const seen: slow.Seen = {
    calls: 40,
    attempts: 40,
    directExpired: 20,
    hopExpired: 20,
    slowOrders: stopped,
    orders: served(20, { refused: 20, mostRemainingMs: 300 }),
    slowUsers: stopped,
    placed: 0,
  };

  test("passes what it should see", () => expect(wrong(slow.judge(seen))).toEqual([]));

  test.each<[string, Partial<slow.Seen>, string[]]>([
    [
      "a call is answered",
      { directExpired: 19 },
      ["GetOrder calls that ended with DEADLINE_EXCEEDED, reason DEADLINE_EXCEEDED"],
    ],
    ["a call over two hops is answered", { hopExpired: 19 }, ["CreateOrder calls that ended with DEADLINE_EXCEEDED"]],
    ["a call is tried again", { attempts: 41 }, ["attempts"]],
    ["no call arrives", { slowOrders: NOTHING }, ["GetOrder calls that the slow replica saw"]],
    [
      "no deadline arrives",
      { slowOrders: { ...stopped, mostRemainingMs: Infinity } },
      ["the most time that one of them had, in ms"],
    ],
    ["a handler works on", { slowOrders: { ...stopped, stopped: 19 } }, ["of them stopped"]],
    ["an order is answered", { orders: served(20, { answered: 1 }) }, ["of them answered"]],
    [
      "the second hop has its own deadline",
      { slowUsers: { ...stopped, mostRemainingMs: 500 } },
      ["the most time that one of them had, in ms"],
    ],
    ["the second hop works on", { slowUsers: { ...stopped, stopped: 0, answered: 20 } }, ["of them stopped"]],
    ["an order is placed", { placed: 1 }, ["orders placed"]],
  ])("fails when %s", (_, change, what) => expect(wrong(slow.judge({ ...seen, ...change }))).toEqual(what));
});

describe("a drain under load", () => {
  const first = {
    GetOrder: served(90, { answered: 90 }),
    CreateOrder: served(10, { answered: 10 }),
    WatchOrders: served(4, { stopped: 4 }),
  };
  const seen: drain.Seen = {
    calls: 300,
    succeeded: 300,
    first,
    second: { GetOrder: served(180, { answered: 180 }), CreateOrder: served(20, { answered: 20 }) },
    exit: { code: 0, signal: null },
    health: ["SERVING", "NOT_SERVING", "DRAINING"],
    drained: 4,
    created: ["o-2", "o-1"],
    kept: ["o-1", "o-2"],
    imported: 8,
    importsKept: 8,
    complete: 4,
    failures: [],
  };

  test("passes what it should see", () => expect(wrong(drain.judge(seen))).toEqual([]));

  test.each<[string, Partial<drain.Seen>, string[]]>([
    ["a call fails", { calls: 301 }, ["calls that succeeded"]],
    [
      "the drained replica had no calls",
      { first: { WatchOrders: first.WatchOrders }, succeeded: 200, calls: 200 },
      ["calls that reached the drained replica"],
    ],
    [
      "a call is not answered",
      { first: { ...first, CreateOrder: served(11, { answered: 10 }) } },
      ["of them answered"],
    ],
    ["a call is answered twice", { succeeded: 299, calls: 299 }, ["calls that either replica answered"]],
    [
      "a stream goes elsewhere",
      { first: { ...first, WatchOrders: served(3, { stopped: 3 }) } },
      ["streams that the drained replica served", "of them stopped"],
    ],
    [
      "a stream does not hear of the drain",
      { drained: 3 },
      ["streams that the drain ended, and their client opened again"],
    ],
    ["a stream breaks", { failures: [new Error("broken")] }, ["streams that failed"]],
    ["health does not say so", { health: ["SERVING", "DRAINING"] }, ["what a health watcher was told"]],
    ["the process is killed", { exit: { code: null, signal: "SIGKILL" } }, ["the drained process ended"]],
    ["an order is lost", { kept: ["o-1"] }, ["orders that a client was told of and nobody has"]],
    ["an order is not told of", { created: ["o-1"] }, ["orders that are there and no client was told of"]],
    ["an import fails", { imported: 6 }, ["orders that the imports placed"]],
    ["an imported order is lost", { importsKept: 7 }, ["of them kept"]],
    ["a watcher has a gap", { complete: 3 }, ["streams that went on without gap or duplicate"]],
  ])("fails when %s", (_, change, what) => expect(wrong(drain.judge({ ...seen, ...change }))).toEqual(what));
});

describe("the tour", () => {
  const shop = {} as Shop;
  const good: Result = {
    calls: 1,
    attempts: 2,
    outcome: "1 OK",
    durationsMs: [2, 1],
    policy: "nothing",
    late: 0,
    checks: [same("calls", 1, 1)],
  };
  const bad: Result = { ...good, checks: [...good.checks, within("streams", 0, 1)] };

  async function tour(...runs: (() => Promise<Result>)[][]) {
    const printed: string[] = [];
    const rows = runs.map(
      (results, n): Row => ({ name: `row ${n}`, run: () => results.shift()?.() ?? Promise.resolve(good) }),
    );
    const ok = await runTour(shop, (text) => printed.push(text), rows);
    return { ok, printed: printed.join("\n") };
  }

  test("passes when every row does", async () => {
    const { ok, printed } = await tour([async () => good], [async () => good]);
    expect(ok).toBe(true);
    expect(printed).toMatch(/row 0 .* 1 +2 {2}1 OK .* 1\.0 .* 2\.0 {2}nothing .* ok\n/);
    expect(printed).toMatch(/All 2 rows came out as they must\.$/);
  });

  test("names each row as it begins, before the table", async () => {
    const printed: string[] = [];
    const begun: string[][] = [];
    const rows = ["first", "second"].map(
      (name): Row => ({
        name,
        run: async () => {
          begun.push(printed.filter((text) => / of 2 /.test(text)));
          return good;
        },
      }),
    );
    await runTour(shop, (text) => printed.push(text), rows);
    expect(begun).toEqual([["   1 of 2  first"], ["   1 of 2  first", "   2 of 2  second"]]);
  });

  test("fails when one row does, and says what was expected and what came", async () => {
    const { ok, printed } = await tour([async () => good], [async () => bad]);
    expect(ok).toBe(false);
    expect(printed).toMatch(/row 1:\n {2}streams: expected at least 1, came 0\n1 of 2 rows came out wrong\.$/);
    expect(printed).not.toContain("row 0:");
  });

  test("fails when a row throws, and goes on with the next", async () => {
    const { ok, printed } = await tour([() => Promise.reject(new Error("boom"))], [async () => good]);
    expect(ok).toBe(false);
    expect(printed).toContain("the row: expected to run to its end, came Error: boom");
    expect(printed).toMatch(/row 1 .* ok\n/);
  });

  test("fails when a row checks nothing", async () => {
    const { ok, printed } = await tour([async () => ({ ...good, checks: [] })]);
    expect(ok).toBe(false);
    expect(printed).toContain("nothing was checked");
  });

  test("runs a row again when calls came too late, and shows it", async () => {
    const { ok, printed } = await tour([async () => ({ ...bad, late: 1 }), async () => good]);
    expect(ok).toBe(true);
    expect(printed).toContain("(run 2:");
    expect(printed).toMatch(/ {2}1 of 1 {2}row 0\n +once more: calls came too late\n/);
  });

  test("runs a row again when one that was too late broke it off", async () => {
    const late = new RpcError({ path: "/s/M", reason: "DEADLINE_EXCEEDED", details: "late" });
    expect((await tour([() => Promise.reject(late), async () => good])).ok).toBe(true);
  });

  test("runs no other row again, and none more than three times", async () => {
    expect((await tour([async () => bad, async () => good])).ok).toBe(false);
    const tooLate = async () => ({ ...bad, late: 1 });
    expect((await tour([tooLate, tooLate, tooLate, async () => good])).ok).toBe(false);
  });

  test("a row without a check has not passed", () => expect(passed({ checks: [] })).toBe(false));
});

test("the tally counts the methods it was asked to", () => {
  const tally = new Tally("GetOrder");
  for (const method of ["/shop.Orders/GetOrder", "/shop.Orders/WatchOrders"]) {
    tally.observer({ type: "call.started", id: 1, method });
    tally.observer({ type: "attempt.started", id: 1, attempt: 1, method, timeoutMs: 300 });
    tally.observer({ type: "call.ended", id: 1, method, status: "UNAVAILABLE", reason: "DRAINING", durationMs: 7 });
  }
  tally.observer({ type: "call.ended", id: 1, method: "/shop.Orders/GetOrder", status: "OK", durationMs: 1 });
  expect(tally).toMatchObject({ calls: 1, attempts: 1, durationsMs: [7, 1] });
  expect([
    tally.count("UNAVAILABLE"),
    tally.count("UNAVAILABLE", "DRAINING"),
    tally.count("UNAVAILABLE", "TRANSPORT"),
  ]).toEqual([1, 1, 0]);
  expect(String(tally)).toBe("1 UNAVAILABLE (DRAINING), 1 OK");
});

test("the table breaks long cells and aligns numbers", () => {
  const columns = [
    { title: "row", maxWidth: 7 },
    { title: "calls", align: "right" as const },
  ];
  expect(formatTable(columns, [["one two three", "7"]])).toBe(
    ["row      calls", "──────────────", "one two      7", "three", "──────────────"].join("\n"),
  );
});
