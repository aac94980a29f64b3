// npm run bench:serving: the part of npm run bench that is about what a server does besides its handlers.
import { parseArgs } from "node:util";
import { benchServing } from "./bench-serving.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "11" },
    window: { type: "string", default: "300" },
    save: { type: "boolean", default: false },
  },
});

await benchServing({ rounds: Number(values.rounds), windowMs: Number(values.window), save: values.save });
