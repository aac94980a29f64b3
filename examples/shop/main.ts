import { describe } from "./describe.ts";
import { readSettings } from "./settings.ts";
import { Shop } from "./shop.ts";
import { runTour } from "./tour/tour.ts";

const USAGE = `Usage: npm start [-- --once]

Starts the example shop, drives it through a tour, and serves until Ctrl-C.
  --once  ends after the tour: with 0 if every row came out as it must, else with 1`;

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  const once = args[0] === "--once";
  if (args.length > (once ? 1 : 0)) {
    console.error(USAGE);
    return 2;
  }
  const interrupted = new Promise<"interrupted">((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => resolve("interrupted"));
  });
  try {
    return await serve(once, interrupted);
  } catch (error) {
    console.error(`The shop does not run: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

async function serve(once: boolean, interrupted: Promise<"interrupted">): Promise<number> {
  const shop = await Shop.start(readSettings());
  try {
    console.log(describe(shop));
    const passed = await Promise.race([runTour(shop, console.log), interrupted, shop.crashed]);
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
