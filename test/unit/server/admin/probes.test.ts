import { fakeClock } from "bowline/testing";
import { describe, expect, test } from "vitest";
import { parseProbe } from "../../../../src/server/admin/probe-request.ts";
import { probeJson, probeText } from "../../../../src/server/admin/probe-text.ts";
import { type ProbeAnswer, Probes } from "../../../../src/server/admin/probes.ts";
import { CheckRunner } from "../../../../src/server/health/check-runner.ts";
import { Health } from "../../../../src/server/health/health.ts";

/** The probes of a server with a deep check and a business check, both well until said otherwise. */
function probed() {
  const clock = fakeClock();
  const runner = new CheckRunner({ clock, maxConcurrent: 4 });
  const health = new Health(runner);
  const probes = new Probes(health, runner);
  const well = { database: true, order: true };
  let orders = 0;
  health.check("database", () => well.database, { intervalMs: 100 });
  health.check(
    "order",
    () => {
      orders += 1;
      return well.order;
    },
    { depth: "business", intervalMs: 100 },
  );
  const ask = async (url: string) => {
    const asked = parseProbe("GET", url, "");
    if ("code" in asked) throw new Error(asked.text);
    const answer = probes.answer(asked.question);
    await clock.advance(0);
    return answer;
  };
  /** The checks that fail, `server` among them. */
  const failed = async (url: string) => {
    const { ok, entries } = await ask(url);
    const names = entries.filter(({ status }) => status === "failed").map(({ name }) => name);
    expect(ok).toBe(names.length === 0);
    return names;
  };
  const listen = async () => {
    runner.start();
    await clock.advance(0);
  };
  return { clock, runner, health, well, ask, failed, listen, orders: () => orders };
}

test("livez: the process lives, whatever becomes of dependencies, drain and set", async () => {
  const { clock, health, well, failed, listen } = probed();
  expect(await failed("/livez")).toEqual([]);
  await listen();
  well.database = false;
  await clock.advance(100);
  health.set("", "NOT_SERVING");
  expect(await failed("/livez?depth=business")).toEqual([]);
  health.shutDown();
  expect(await failed("/livez")).toEqual([]);
});

test("readyz: an address is served, deep checks pass, and nothing says otherwise", async () => {
  const { clock, health, well, failed, listen } = probed();
  expect(await failed("/readyz")).toEqual(["server", "database"]);
  await listen();
  expect(await failed("/readyz")).toEqual([]);
  well.database = false;
  await clock.advance(100);
  expect(await failed("/readyz")).toEqual(["database"]);
  expect(await failed("/readyz?depth=shallow")).toEqual([]);
  expect(await failed("/readyz?exclude=other&exclude=database")).toEqual([]);
  well.database = true;
  await clock.advance(100);
  expect(await failed("/readyz")).toEqual([]);
  health.set("", "NOT_SERVING");
  expect(await failed("/readyz?exclude=server")).toEqual(["server"]);
  health.set("", "SERVING");
  health.shutDown();
  expect(await failed("/readyz?depth=shallow")).toEqual(["server"]);
});

test("readyz?depth=business: business checks too, run because they are asked for, once per interval", async () => {
  const { clock, runner, well, failed, ask, listen, orders } = probed();
  await listen();
  await clock.advance(1_000);
  expect(await failed("/readyz")).toEqual([]);
  expect(orders()).toBe(0);
  expect(await failed("/readyz?depth=business&exclude=order")).toEqual([]);
  expect(orders()).toBe(0);
  expect(await Promise.all([failed("/readyz?depth=business")])).toEqual([[]]);
  well.order = false;
  expect(await failed("/readyz?depth=business")).toEqual([]);
  expect(orders()).toBe(1);
  await clock.advance(100);
  expect(await failed("/readyz?depth=business")).toEqual(["order"]);
  expect(await failed("/readyz")).toEqual([]);
  expect((await ask("/readyz?depth=business")).entries).toMatchObject([
    ...[{ name: "server" }, { name: "database" }, { name: "order", error: "it returned false" }],
  ]);
  runner.stop();
});

test("startupz: an address is served and each deep check has passed once, and so for good", async () => {
  const { clock, runner, health, well, failed, listen } = probed();
  well.database = false;
  expect(await failed("/startupz")).toEqual(["server", "database"]);
  await listen();
  expect(await failed("/startupz")).toEqual(["database"]);
  expect(await failed("/startupz?exclude=database")).toEqual([]);
  expect(await failed("/startupz")).toEqual(["database"]);
  well.database = true;
  await clock.advance(100);
  well.database = false;
  await clock.advance(100);
  expect(await failed("/startupz")).toEqual([]);
  runner.stop();
  health.check("late", () => false);
  health.set("", "NOT_SERVING");
  expect(await failed("/startupz")).toEqual([]);
});

describe("what is asked", () => {
  test.each<[string, string, string, object]>([
    [
      "GET",
      "/livez",
      "",
      { question: { probe: "livez", depth: "deep", exclude: new Set() }, verbose: false, json: false },
    ],
    ["HEAD", "/readyz?verbose", "text/html, application/json;q=0.9", { verbose: true, json: true }],
    [
      "GET",
      "/readyz?exclude=a&verbose=0&exclude=b%2Fc&depth=business&other",
      "application/jsonp",
      { question: { probe: "readyz", depth: "business", exclude: new Set(["a", "b/c"]) }, verbose: true, json: false },
    ],
    ["GET", "/startupz?", "*/*", { question: { probe: "startupz", depth: "deep", exclude: new Set() }, json: false }],
    ["POST", "/readyz", "", { code: 405, text: "only GET and HEAD" }],
    ["GET", "/readyz?depth=", "", { code: 400, text: "depth must be shallow, deep or business" }],
    ["GET", "/readyz?depth=Deep", "", { code: 400, text: "depth must be shallow, deep or business" }],
    ...["/", "", "*", "/readyz/", "/READYZ", "/readyz%3f", "//readyz", "/readyz/database", "http://h/readyz"].map(
      (url) => ["POST", url, "", { code: 404, text: "not found; there are /livez, /readyz, /startupz" }] as never,
    ),
  ])("%s %s with Accept: %s", (method, url, accept, asked) => {
    expect(parseProbe(method, url, accept)).toMatchObject(asked);
  });
});

describe("what is said", () => {
  const times = { durationMs: 12.4, ageMs: 3_210.6 };
  const answer: ProbeAnswer = {
    ...{ probe: "readyz", ok: true },
    entries: [
      { name: "server", status: "ok" },
      { name: "database", status: "ok", ...times },
      { name: "queue", status: "excluded", error: "down", ...times },
      { name: "flaky", status: "ok", error: "down", ...times },
    ],
    unmatched: [],
  };
  const failed: ProbeAnswer = {
    ...{ probe: "readyz", ok: false },
    entries: [{ name: "a", status: "failed", error: "no result yet" }],
    unmatched: ["x", "\n"],
  };

  test("ok, where all is well and nobody asks for more", () => {
    expect(probeText(answer, false)).toBe("ok");
  });

  test("a line for each check, where more is asked for", () => {
    expect(probeText(answer, true).split("\n")).toEqual([
      "[+]server ok",
      "[+]database ok (12 ms, 3211 ms ago)",
      "[+]queue excluded: ok (12 ms, 3211 ms ago)",
      "[+]flaky ok: down (12 ms, 3211 ms ago)",
      "readyz check passed",
      "",
    ]);
  });

  test.each([true, false])("and where something failed, verbose or not: %s", (verbose) => {
    expect(probeText(failed, verbose).split("\n")).toEqual([
      "[-]a failed: no result yet",
      'warn: some checks cannot be excluded: no matches for "x", "\\n"',
      "readyz check failed",
      "",
    ]);
  });

  test("the same as JSON", () => {
    expect(JSON.parse(probeJson({ ...answer, entries: answer.entries.slice(0, 2) }))).toEqual({
      ...{ probe: "readyz", status: "ok" },
      checks: [
        { name: "server", status: "ok" },
        { name: "database", status: "ok", durationMs: 12, ageMs: 3_211 },
      ],
      unmatched: [],
    });
    expect(JSON.parse(probeJson(failed))).toMatchObject({
      ...{ status: "failed", checks: [{ error: "no result yet" }], unmatched: ["x", "\n"] },
    });
  });
});
