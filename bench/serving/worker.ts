// A process of its own for each variant's server, and one for its client.
import { measure } from "../measure.ts";
import type { BenchClient } from "../stacks/stack.ts";
import { connect } from "./calls.ts";
import type { Question } from "./processes.ts";

const [role, name = "", redisPort] = process.argv.slice(2);
const send = (message: unknown) => process.send?.(message);
process.on("disconnect", () => process.exit(0));

/** Clients do without what only servers need. */
async function serve(): Promise<void> {
  const { rejections } = await import("./rejections.ts");
  const { served } = await import("./served.ts");
  const { variants } = await import("./variants.ts");
  const variant = variants[name] ?? rejections[name];
  if (!variant) throw new Error(`there is no variant ${name}`);
  process.on("message", () => send(process.cpuUsage()));
  send(await served(variant, Number(redisPort)));
}

function call(): void {
  let client: BenchClient | undefined;
  process.on("message", async (question: Question) => {
    if ("port" in question) client = connect(question);
    send(client && "windowMs" in question ? await measure(client, question) : {});
  });
  send({});
}

if (role === "server") await serve();
else call();
