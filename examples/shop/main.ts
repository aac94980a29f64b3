import { parseArgs } from "node:util";
import { describe } from "./describe.ts";
import { readSettings } from "./settings.ts";
import { Shop } from "./shop.ts";
import type { Row } from "./tour/row.ts";
import { rows, runTour } from "./tour/tour.ts";

const USAGE = `Usage: npm start [-- --once] [--row NAME]... | [-- --auth]

Starts the example shop, drives it through a tour, and serves until Ctrl-C.
  --once      ends after the tour: with 0 if every row came out as it must, else with 1
  --row NAME  only this row of the tour; may be given several times. There are:
${rows.map(({ name }) => `              ${name}`).join("\n")}
  --auth      callers need a token, and are given one to try; no tour`;

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (!options) {
    console.error(USAGE);
    return 2;
  }
  const interrupted = new Promise<"interrupted">((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => resolve("interrupted"));
  });
  try {
    return await serve(options, interrupted);
  } catch (error) {
    console.error(`The shop does not run: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

interface Options {
  readonly once: boolean;
  readonly tour: readonly Row[];
}

/** @returns undefined if they are not to be understood. */
function readArgs(args: readonly string[]): Options | undefined {
  const options = {
    once: { type: "boolean" },
    row: { type: "string", multiple: true },
    auth: { type: "boolean" },
  } as const;
  try {
    const { once = false, row: names, auth } = parseArgs({ args: [...args], options }).values;
    if (auth && (once || names)) return undefined;
    // For this process and those that it starts.
    if (auth) process.env.SHOP_AUTH = "1";
    if (auth) return { once, tour: [] };
    const unknown = (names ?? []).some((name) => !rows.some((row) => row.name === name));
    if (unknown) return undefined;
    return { once, tour: names ? rows.filter(({ name }) => names.includes(name)) : rows };
  } catch {
    return undefined;
  }
}

async function serve({ once, tour }: Options, interrupted: Promise<"interrupted">): Promise<number> {
  const shop = await Shop.start(readSettings());
  try {
    console.log(await describe(shop));
    const touring = tour.length === 0 ? true : runTour(shop, console.log, tour);
    const passed = await Promise.race([touring, interrupted, shop.crashed]);
    if (once) return passed === true ? 0 : 1;
    if (passed !== "interrupted") {
      console.log("\nServing until Ctrl-C.");
      await Promise.race([interrupted, shop.crashed]);
    }
    return 0;
  } finally {
    await shop.stop();
  }
}
