import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { run } from "../support/run.ts";
import { userProject } from "../support/user-project.ts";

/** A scripted server and a client of it, as pages take them for granted. */
const ORDERS = `
import { adaptiveLimit, breakersOf, bulkhead, circuitBreaker, createClient, retry, RpcError, settleAll, throttle } from "bowline";
import { scriptedServer } from "bowline/testing";
import { createClientFactory } from "nice-grpc";
import { Order } from "./gen/shop/orders/v1/orders.ts";
import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";

await using server = await scriptedServer(OrderService);
using orders = createClient(OrderService, server.target);
`;

const CALLS = `${ORDERS}
const fetch = async (..._: unknown[]) => new Response("sent");
server.expect("getOrder").fail("NOT_FOUND");
`;

const WATCHED = `${ORDERS}
const seen: unknown[] = [];
const handle = async (event: { revision: bigint }) => void seen.push(event.revision);
const save = async (cursor: unknown) => void seen.push(cursor);
server.expect("watchOrders", { afterRevision: 0n }).send({ revision: 41n }).send({ revision: 42n }).fail("UNAVAILABLE");
server.expect("watchOrders", { afterRevision: 42n }).send({ revision: 43n });
process.on("exit", () => {
  if (seen.join() !== "41,41,42,42,43,43") throw new Error("watched " + seen.join());
});
`;

const EXPIRED = `${ORDERS}
const saved = 7n;
const reloadEverything = async (_: AbortSignal) => ({ revision: 90n });
server.expect("watchOrders", { afterRevision: 7n }).fail("OUT_OF_RANGE");
server.expect("watchOrders", { afterRevision: 90n }).send({ revision: 91n });
`;

const EXPIRED_END = `
for await (const { revision } of events) if (revision !== 91n) throw new Error("got " + revision);
`;

/** What stands around each block of a page, in the order of the page. */
const PAGES: Record<string, readonly (readonly [before: string, after: string])[]> = {
  "docs/calls.md": [CALLS, CALLS, CALLS, CALLS, CALLS, CALLS, CALLS, CALLS].map((before) => [before, ""] as const),
  "docs/resume.md": [
    [WATCHED, ""],
    [EXPIRED, EXPIRED_END],
    ['import { createClientFactory, createServer } from "nice-grpc";\n', ""],
  ],
};

const snippets = Object.entries(PAGES).flatMap(([page, around]) => {
  const blocks = blocksOf(page).filter(({ language }) => language === "ts");
  return blocks.map(({ text }, n) => {
    const [before, after] = around[n] ?? ["", ""];
    return {
      title: `${page}, example ${n + 1}`,
      file: `${page.slice(5, -3)}-${n + 1}.ts`,
      text: before + text + after,
    };
  });
});
const project = userProject("snippets", snippets);

test("every example of the pages has what it takes for granted", () => {
  const counts = Object.entries(PAGES).map(([page, around]) => [page, around.length]);
  const blocks = Object.keys(PAGES).map((page) => [
    page,
    blocksOf(page).filter(({ language }) => language === "ts").length,
  ]);
  expect(counts).toEqual(blocks);
});

test("the examples type-check", () => {
  const lenient = ["--noUnusedLocals", "false"];
  expect(run("tsc", ["-p", ".", ...lenient], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
});

test.each(snippets)("$title runs", ({ file }) => {
  const { status, stderr } = run("node", ["--conditions=bowline-source", file], { cwd: project });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
