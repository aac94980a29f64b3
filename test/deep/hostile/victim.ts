import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { createClient } from "bowline";
import { expect } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { VictimState } from "./attacked-server.ts";

/** What an attack may leave behind however often it comes: what compiled code and Node's pools grow by. */
const FLAT_BYTES = 6 * 1024 * 1024;

/** A server of Bowline's in a process of its own, made as its documentation says. */
export class Victim {
  readonly port: number;
  readonly #child: ChildProcess;

  constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  /** What it holds. @throws Error once it has ended. */
  async state(): Promise<VictimState> {
    if (this.#child.exitCode !== null) throw new Error(`the server ended with ${this.#child.exitCode}`);
    this.#child.send("state");
    const [state] = await once(this.#child, "message");
    return state;
  }

  /** It serves an honest client. */
  async serves(): Promise<void> {
    const orders = createClient(OrderService, `127.0.0.1:${this.port}`, { keepaliveTimeMs: 10_000 });
    const order = await orders.getOrder({ orderId: "honest" }, { timeoutMs: 20_000 });
    orders[Symbol.dispose]();
    expect(order.orderId).toBe("honest");
  }

  /** After an attack: it serves, no handler is left, and it holds no more than after one before. */
  async withstands(attack: () => Promise<void>): Promise<void> {
    // What is compiled and pooled on the way is not what an attack costs.
    await attack();
    const before = await this.idle();
    await attack();
    const after = await this.idle();
    await this.serves();
    expect(after.bytes - before.bytes).toBeLessThan(FLAT_BYTES);
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

/** Starts one, until `finished` calls back. */
export async function victim(finished: (listener: () => void) => void): Promise<Victim> {
  const execArgv = [...process.execArgv, "--expose-gc"];
  const child = fork(new URL("./attacked-server.ts", import.meta.url), { execArgv });
  finished(() => void child.kill("SIGKILL"));
  const [port] = await once(child, "message");
  return new Victim(port, child);
}
