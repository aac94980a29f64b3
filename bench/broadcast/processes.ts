import type { ChildProcess } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { answer, ask as askAny, startChild } from "../child.ts";

/** What a worker is asked: a server to publish, clients to begin to count and say when so many came. */
export interface Asked {
  readonly publish?: number;
  readonly await?: number;
}

/** What a worker answers. */
interface Answer {
  readonly port?: number;
  readonly title?: string;
  readonly cpuMicros?: number;
  readonly received?: number;
}

/** What a run showed. */
export interface Sample {
  /** The server process's CPU time for each message that a subscriber got, in microseconds. */
  readonly serverMicros: number;
  /** Messages that subscribers got per second, all together. */
  readonly perSecond: number;
}

/** A variant's server and its subscribers. */
export interface RunningVariant {
  readonly name: string;
  readonly title: string;
  /** Publishes until subscribers got about so many messages, all together. */
  run(deliveries: number): Promise<Sample>;
  stop(): void;
}

const worker = new URL("./worker.ts", import.meta.url);

const ask = (child: ChildProcess, asked: Asked) => askAny<Answer>(child, asked);

/** Starts a variant's server and so many subscribers; resolves when all of them are there. */
export async function startVariant(name: string, subscribers: number): Promise<RunningVariant> {
  const { child: server, first } = await startChild<Answer>(worker, ["server", name]);
  const { port, title = name } = first;
  const { child: clients } = await startChild<Answer>(worker, ["clients", String(subscribers), String(port)]);
  for (let here = 0; here < subscribers; here = (await ask(clients, {})).received ?? 0) {
    await ask(clients, {});
    await ask(server, { publish: 1 });
    await setTimeout(200);
  }
  return {
    name,
    title,
    async run(deliveries) {
      const messages = Math.ceil(deliveries / subscribers);
      const before = await ask(server, {});
      await ask(clients, { await: messages * subscribers });
      const all = answer<Answer>(clients);
      const start = performance.now();
      await ask(server, { publish: messages });
      await all;
      const seconds = (performance.now() - start) / 1_000;
      const after = await ask(server, {});
      const count = messages * subscribers;
      const serverMicros = ((after.cpuMicros ?? 0) - (before.cpuMicros ?? 0)) / count;
      return { serverMicros, perSecond: count / seconds };
    },
    stop() {
      clients.disconnect();
      server.disconnect();
    },
  };
}
