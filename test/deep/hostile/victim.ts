import { type ChildProcess, fork } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { createClient } from "bowline";
import type { ServerOptions } from "bowline/server";
import { expect } from "vitest";
import { PatientOrders } from "../../support/patient-orders.ts";
import type { VictimState } from "./attacked-server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** So often an attack is measured, after one that is not: what it compiles and pools is not what it costs. */
const ROUNDS = 3;

/** How often `withstands` attacks. */
export const ATTACKS: number = 1 + ROUNDS;

/** What may stay of an attack, however often it comes: less than 2 KiB of each of 100 connections. */
const KEPT_BYTES = 192 * KIB;

/** By how much attacks may make the process grow while they last, all together. */
const PEAK_BYTES = 128 * MIB;

/** A server of Bowline's in a process of its own, made as its documentation says. */
export class Victim {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #fresh: VictimState;

  constructor(port: number, child: ChildProcess, fresh: VictimState) {
    this.port = port;
    this.#child = child;
    this.#fresh = fresh;
  }

  /** What it holds. @throws Error once it has ended. */
  state(): Promise<VictimState> {
    return stateOf(this.#child);
  }

  /** It serves an honest client. */
  async serves(): Promise<void> {
    const orders = createClient(PatientOrders, `127.0.0.1:${this.port}`, { keepaliveTimeMs: 10_000 });
    const order = await orders.getOrder({ orderId: "honest" });
    orders[Symbol.dispose]();
    expect(order.orderId).toBe("honest");
  }

  /**
   * However often an attack comes: it serves, no handler is left, it holds no more than before, and has never held much.
   *
   * What stays of one attack is the median of what stays of several: what is compiled late makes one larger, and what is
   * collected late another smaller; a leak is in all of them.
   */
  async withstands(attack: () => Promise<void>): Promise<void> {
    await attack();
    const kept: number[] = [];
    for (let before = await this.idle(); kept.length < ROUNDS; ) {
      await attack();
      const after = await this.idle();
      kept.push(after.bytes - before.bytes);
      before = after;
    }
    await this.serves();
    const { peakBytes } = await this.state();
    expect(median(kept), `bytes kept of each attack: ${kept}`).toBeLessThan(KEPT_BYTES);
    expect(peakBytes - this.#fresh.peakBytes).toBeLessThan(PEAK_BYTES);
  }

  /** What it holds once no handler runs any more; until the test's own time is up. */
  async idle(): Promise<VictimState> {
    for (;;) {
      const state = await this.state();
      if (state.running === 0) return state;
      await setTimeout(50);
    }
  }
}

async function stateOf(child: ChildProcess): Promise<VictimState> {
  const state = told<VictimState>(child);
  child.send("state", () => {});
  return state;
}

/** What the process says next. @throws Error if it ends, or has ended, before it does. */
function told<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error(`the server ended with ${child.exitCode ?? child.signalCode}`));
    if (child.exitCode !== null || child.signalCode !== null) return gone();
    child.once("exit", gone);
    child.once("message", (message) => {
      child.off("exit", gone);
      resolve(message as T);
    });
  });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Starts one, until `finished` calls back. `options` go over as JSON. */
export async function victim(finished: (listener: () => void) => void, options: ServerOptions = {}): Promise<Victim> {
  const execArgv = [...process.execArgv, "--expose-gc"];
  const child = fork(new URL("./attacked-server.ts", import.meta.url), [JSON.stringify(options)], { execArgv });
  finished(() => void child.kill("SIGKILL"));
  const port = await told<number>(child);
  return new Victim(port, child, await stateOf(child));
}
