import type { ChildProcess } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { ask, startChild } from "../child.ts";
import type { CallRecord, Load } from "./arrivals.ts";
import type { ClientModel } from "./client.ts";
import type { ServerModel } from "./server.ts";

/** What a process of servers is asked: to serve, to be slow, to stop and say how many attempts came. */
export type ServerQuestion =
  | { readonly serve: ServerModel; readonly seed: number }
  | { readonly slowness: number }
  | { readonly stop: true };

/** What a client's process is asked: to connect, then to make the calls of a load. */
export type ClientQuestion =
  | { readonly client: ClientModel; readonly ports: readonly number[] }
  | { readonly load: Load; readonly seed: number };

/** What both answer. */
interface Answer<T> {
  readonly answer: T;
  /** CPU time since the last answer, in microseconds. */
  readonly cpuMicros: number;
}

/** A while in which servers take longer. */
export interface Trigger {
  readonly afterSeconds: number;
  readonly seconds: number;
  /** How many times as long their work takes. */
  readonly slowness: number;
}

/** What is measured: a client's load on servers. */
export interface Run {
  readonly server: ServerModel;
  readonly client: ClientModel;
  readonly load: Load;
  readonly trigger?: Trigger;
}

/** What a run showed. */
export interface Outcome {
  readonly calls: readonly CallRecord[];
  /** Attempts that came to the servers, for each call. */
  readonly attemptsPerCall: number;
  /** How many cores both processes together kept busy. */
  readonly cores: number;
}

/** All runs have the same chances, so that their loads come at the same instants. */
const SEED = 1;

/** Two processes, one of servers and one of their client, for one run after the other. */
class Pair {
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;

  private constructor(server: ChildProcess, client: ChildProcess) {
    this.#server = server;
    this.#client = client;
  }

  static async start(): Promise<Pair> {
    const module = new URL("./worker.ts", import.meta.url);
    const [server, client] = await Promise.all(["server", "client"].map((role) => startChild(module, [role])));
    if (!server || !client) throw new Error("two processes were started");
    return new Pair(server.child, client.child);
  }

  async run({ server, client, load, trigger }: Run): Promise<Outcome> {
    const { answer: ports } = await ask<Answer<number[]>>(this.#server, { serve: server, seed: SEED });
    await ask(this.#client, { client, ports });
    const calling = ask<Answer<CallRecord[]>>(this.#client, { load, seed: SEED });
    if (trigger) await this.#pull(trigger);
    const { answer: calls, cpuMicros } = await calling;
    const stopped = await ask<Answer<number>>(this.#server, { stop: true });
    const cores = (cpuMicros + stopped.cpuMicros) / 1e6 / load.seconds;
    return { calls, attemptsPerCall: stopped.answer / calls.length, cores };
  }

  stop(): void {
    this.#client.disconnect();
    this.#server.disconnect();
  }

  async #pull({ afterSeconds, seconds, slowness }: Trigger): Promise<void> {
    await setTimeout(afterSeconds * 1_000);
    await ask(this.#server, { slowness });
    await setTimeout(seconds * 1_000);
    await ask(this.#server, { slowness: 1 });
  }
}

/** A run and what it showed. */
export interface Measured<T extends Run> {
  readonly run: T;
  readonly outcome: Outcome;
}

/** Makes runs, so many at a time. @returns them in their order. */
export async function runAll<T extends Run>(atATime: number, runs: readonly T[]): Promise<Measured<T>[]> {
  const outcomes = new Map<T, Outcome>();
  const left = runs.values();
  const work = async () => {
    const pair = await Pair.start();
    for (const run of left) outcomes.set(run, await pair.run(run));
    pair.stop();
  };
  await Promise.all(Array.from({ length: Math.min(atATime, runs.length) }, work));
  return runs.flatMap((run) => {
    const outcome = outcomes.get(run);
    return outcome ? [{ run, outcome }] : [];
  });
}
