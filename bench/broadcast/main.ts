// npm run bench:broadcast: the part of npm run bench that is about broadcasts.
import { parseArgs } from "node:util";
import { benchBroadcast } from "./bench-broadcast.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    deliveries: { type: "string", default: "50000" },
    save: { type: "boolean", default: false },
  },
});

await benchBroadcast({ rounds: Number(values.rounds), deliveries: Number(values.deliveries), save: values.save });
