// A process of its own for the servers, and one for their client.
import { Caller } from "./client.ts";
import type { ClientQuestion, ServerQuestion } from "./pair.ts";
import { Backends } from "./server.ts";

const send = (message: unknown) => process.send?.(message);
process.on("disconnect", () => process.exit(0));

let backends: Backends | undefined;
let caller: Caller | undefined;

async function answerAsServer(question: ServerQuestion): Promise<unknown> {
  if ("serve" in question) {
    backends = new Backends(question.serve, question.seed);
    return backends.listen();
  }
  if ("slowness" in question) return backends?.slowDown(question.slowness) ?? null;
  const attempts = backends?.attempts ?? 0;
  await backends?.stop();
  return attempts;
}

async function answerAsClient(question: ClientQuestion): Promise<unknown> {
  if ("load" in question) return caller?.offer(question.load, question.seed);
  caller = new Caller(question.client, question.ports);
  return (await caller.connect()) ?? null;
}

const isServer = process.argv[2] === "server";
let cpu = process.cpuUsage();
process.on("message", async (question) => {
  const answer = isServer
    ? await answerAsServer(question as ServerQuestion)
    : await answerAsClient(question as ClientQuestion);
  const { user, system } = process.cpuUsage(cpu);
  cpu = process.cpuUsage();
  send({ answer, cpuMicros: user + system });
});
send({});
