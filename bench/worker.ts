// A process of its own for each server and each client, so that no stack runs on code warmed up by another.
import { measure } from "./measure.ts";
import { memoryInUse } from "./memory.ts";
import type { Question } from "./processes.ts";
import { type StackName, stacks } from "./stacks/index.ts";
import type { BenchClient } from "./stacks/stack.ts";

const [role, name, port] = process.argv.slice(2);
const stack = stacks[name as StackName];
const send = (message: unknown) => process.send?.(message);

process.on("disconnect", () => process.exit(0));

if (role === "server") {
  send({ port: await stack.serve() });
  process.on("message", async (question) => send(question === "memory" ? await memoryInUse() : process.cpuUsage()));
} else {
  const client = stack.connect(Number(port));
  // One after the other: a server's first answers take longer than a breaker lets sixteen calls at once take.
  for (let call = 0; call < 20; call += 1) await client.unary();
  process.on("message", async (question: Question) => send(await answer(client, question)));
  send({ port: 0 });
}

async function answer(client: BenchClient, question: Question): Promise<unknown> {
  if (typeof question === "string") throw new Error(`a server is asked for ${question}`);
  if ("open" in question) return Promise.all(Array.from({ length: question.open }, () => client.open()));
  return measure(client, question);
}
