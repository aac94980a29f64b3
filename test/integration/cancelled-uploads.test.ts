import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { clients } from "../support/attempts.ts";
import { rejection } from "../support/orders.ts";

const UPLOADS = 200;

/** The server is a process of its own: in one process both ends take turns, and much that can go wrong does not. */
describe.each(Object.entries(clients))("over %s", (_name, connect) => {
  test.each([
    ["cancelled", (signal: AbortSignal) => ({ signal })],
    ["too late", () => ({ timeoutMs: 8 })],
  ])(`no upload that is ${"%s"} looks complete to its handler`, async (_how, options) => {
    const child = fork(new URL("../support/upload-server.ts", import.meta.url), { execArgv: process.execArgv });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [port] = await once(child, "message");
    const seen: string[] = [];
    child.on("message", (outcome: string) => seen.push(outcome));
    const orders = connect(port);
    await orders.importOrders((async function* () {})(), { timeoutMs: 5_000 });
    const upload = async () => {
      const controller = new AbortController();
      async function* requests() {
        yield { order: {} };
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.abort("enough");
        await new Promise(() => {});
      }
      await rejection(orders.importOrders(requests(), options(controller.signal)));
    };
    const four = async () => {
      for (let done = 0; done < UPLOADS / 4; done += 1) await upload();
    };
    await Promise.all([four(), four(), four(), four()]);
    await orders.importOrders((async function* () {})(), { timeoutMs: 5_000 });
    expect(seen.filter((outcome) => outcome === "complete")).toHaveLength(2);
  });
});
