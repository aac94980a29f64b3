import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "../../examples/shop/tour/load.ts";
import { pushback } from "../../examples/shop/tour/pushback.ts";
import { readsAndWrites } from "../../examples/shop/tour/reads-and-writes.ts";
import { slowReplica } from "../../examples/shop/tour/slow-replica.ts";
import { rows } from "../../examples/shop/tour/tour.ts";

/** What `npm start` runs after generating. */
const MAIN = new URL("../../examples/shop/main.ts", import.meta.url).pathname;
const TOUR_TIMEOUT_MS = 120_000;

describe("the shop", { timeout: 60_000 }, () => {
  // Rows that are over soon, and not `--once`: `.ci/run` takes the whole tour, and minds what it ends with.
  test("passes its tour, then serves until Ctrl-C, and ends with 0", { timeout: TOUR_TIMEOUT_MS }, async () => {
    const short = rows.filter((row) => [readsAndWrites, slowReplica, pushback].includes(row));
    const shop = await startShop(short.flatMap(({ name }) => ["--row", name]));
    const targets = await shop.serving;
    await shop.says("Serving until Ctrl-C.");
    expect(rowsOf(shop.stdout)).toEqual(Object.fromEntries(short.map(({ name }) => [name, "ok"])));
    expect(shop.stdout).toContain(`All ${short.length} rows came out as they must.`);
    shop.process.kill("SIGINT");
    expect(await shop.ended).toEqual({ code: 0, signal: null });
    expect(shop.stderr).toBe("");
    await gone(targets);
  });

  test("ends with 1 when a row came out wrong, and says what came", { timeout: TOUR_TIMEOUT_MS }, async () => {
    const args = ["--once", "--row", "a slow replica", "--row", "pushback"];
    const shop = await startShop(args, { SHOP_TOUR_SLOW_MS: "0" });
    expect(await shop.ended).toEqual({ code: 1, signal: null });
    expect(rowsOf(shop.stdout)).toEqual({ "a slow replica": "WRONG", pushback: "ok" });
    expect(shop.stdout).toMatch(
      /a slow replica:\n {2}GetOrder calls that ended with DEADLINE_EXCEEDED.*expected 20, came 0/,
    );
    expect(shop.stdout).toContain("1 of 2 rows came out wrong.");
  });

  test("drains its services on SIGTERM, also in the middle of its tour", async () => {
    const shop = await startShop([]);
    const targets = await shop.serving;
    shop.process.kill("SIGTERM");
    expect(await shop.ended).toEqual({ code: 0, signal: null });
    await gone(targets);
  });

  test("leaves no service behind when it is killed", async () => {
    const shop = await startShop([]);
    const targets = await shop.serving;
    shop.process.kill("SIGKILL");
    await gone(targets);
  });

  test.each(["SHOP_ORDERS_PORT", "SHOP_USERS_PORT"])("names the taken port and %s", async (variable) => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const shop = await startShop([], { [variable]: String(port) });
    expect(await shop.ended).toEqual({ code: 1, signal: null });
    expect(shop.stderr).toContain(`port ${port} is taken; choose another one with ${variable}`);
  });

  test("lists every setting that is wrong", async () => {
    const shop = await startShop([], { SHOP_ORDERS_PORT: "65536", SHOP_DELAY_MS: "soon" });
    expect(await shop.ended).toEqual({ code: 1, signal: null });
    expect(shop.stderr).toContain('SHOP_ORDERS_PORT must be a whole number from 0 to 65535; it is "65536"');
    expect(shop.stderr).toContain('SHOP_DELAY_MS must be a whole number from 0 to 600000; it is "soon"');
  });

  test.each([[["--twice"]], [["now"]], [["--row", "nothing"]]])("answers %j with its usage", async (args) => {
    const shop = await startShop(args);
    expect(await shop.ended).toEqual({ code: 2, signal: null });
    expect(shop.stderr).toMatch(/^Usage: npm start/);
  });
});

class RunningShop {
  stdout = "";
  stderr = "";
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    const spawned = spawn(process.execPath, ["--conditions=bowline-source", MAIN, ...args], { env });
    spawned.stdout.on("data", (chunk) => {
      this.stdout += chunk;
    });
    spawned.stderr.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.process = spawned;
    this.ended = once(spawned, "close").then(([code, signal]) => ({ code, signal }));
  }

  /** Where its services are, once they serve. */
  get serving(): Promise<string[]> {
    return this.says("To try").then(() => {
      const lines = this.stdout.matchAll(/^ {2}(127\.0\.0\.1:\d+) {2}shop\./gm);
      return Array.from(lines, ([, target]) => target ?? "");
    });
  }

  says(text: string): Promise<void> {
    return until(`it says ${text}`, () => this.stdout.includes(text));
  }
}

/** Starts the shop on free ports and new data; whatever becomes of the test, it ends. */
async function startShop(args: readonly string[], env: Record<string, string> = {}): Promise<RunningShop> {
  const data = await mkdtemp(join(tmpdir(), "bowline-shop-"));
  const ports = { SHOP_ORDERS_PORT: "0", SHOP_USERS_PORT: "0" };
  const shop = new RunningShop(args, { ...process.env, SHOP_DATA: data, ...ports, ...env });
  onTestFinished(async () => {
    shop.process.kill("SIGKILL");
    await shop.ended;
    await rm(data, { recursive: true, force: true, maxRetries: 5 });
  });
  return shop;
}

/** The rows of the table by name, with their verdicts. */
function rowsOf(output: string): Record<string, string> {
  const rows = [...output.matchAll(/^(\w[\w ]*?) {2,}\d.* {2}(ok|WRONG)$/gm)];
  return Object.fromEntries(rows.map(([, name, verdict]) => [name, verdict]));
}

/** Waits until nobody listens at the targets any more. */
async function gone(targets: readonly string[]): Promise<void> {
  expect(targets).toHaveLength(2);
  for (const target of targets) await until(`${target} is closed`, async () => !(await isOpen(target)));
}

function isOpen(target: string): Promise<boolean> {
  const [host, port] = target.split(":");
  const socket = connect(Number(port), host);
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
