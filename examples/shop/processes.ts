import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Counts } from "./tour/instruments.ts";

/** How long a process may take to end after SIGTERM, in milliseconds; then it is killed. */
const STOP_TIMEOUT_MS = 35_000;

/** How a service process ended. */
export interface Exit {
  /** 0 if it ended by itself, with no call broken off. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

type Message =
  | { type: "ready"; port: number; admin: number }
  | { type: "counts"; counts: Counts }
  | { type: "memory"; heldMib: number };

/** A service in a process of its own. */
export class ServiceProcess {
  readonly service: "orders" | "users";
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #port = 0;
  #admin = 0;
  #counts: Counts = {};
  #heldMib: number | undefined;
  #told: (() => void)[] = [];

  private constructor(service: "orders" | "users", env: Readonly<Record<string, string>>) {
    this.service = service;
    this.#child = fork(fileURLToPath(new URL(`./${service}/server.ts`, import.meta.url)), {
      env: { ...process.env, ...env },
      // Node 22 warns that node:sqlite is experimental.
      execArgv: [...process.execArgv, "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
    });
    this.exited = this.#end();
    this.#child.on("message", (message) => this.#hear(message as Message));
  }

  /**
   * Starts a service and waits until it serves.
   *
   * @param env settings besides this process's own.
   * @throws Error if the process ends instead; it has said why.
   */
  static async start(service: "orders" | "users", env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
    const started = new ServiceProcess(service, env);
    await started.#news();
    if (started.#port === 0) throw new Error(`the ${service} service did not start`);
    return started;
  }

  get target(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Where it is probed, over HTTP. */
  get admin(): string {
    return `127.0.0.1:${this.#admin}`;
  }

  /** What became of its calls: as it says now or, once it has ended, as it said last. */
  async counts(): Promise<Counts> {
    if (this.#child.connected) {
      // If it cannot be asked any more, it ends, and that is news too.
      this.#child.send("report", () => {});
      await this.#news();
    }
    return this.#counts;
  }

  /** What it holds on to now, in MiB: its heap after a garbage collection, and its buffers. @throws Error if it has ended. */
  async heldMib(): Promise<number> {
    this.#heldMib = undefined;
    if (this.#child.connected) this.#child.send("memory", () => {});
    while (this.#heldMib === undefined) {
      if (!this.#child.connected) throw new Error(`the ${this.service} service has ended`);
      await this.#news();
    }
    return this.#heldMib;
  }

  /** Ends it as an operator would, with SIGTERM, and waits until it has ended; kills it if it does not. */
  async stop(): Promise<Exit> {
    this.#child.kill("SIGTERM");
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const exit = await this.exited;
    clearTimeout(killer);
    return exit;
  }

  /** Ends it as a crash would, with SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  async #end(): Promise<Exit> {
    // Its last message may come after its exit, but not after the channel is closed.
    const [[code, signal]] = await Promise.all([once(this.#child, "exit"), once(this.#child, "disconnect")]);
    this.#tell();
    return { code, signal };
  }

  #hear(message: Message): void {
    if (message.type === "ready") {
      this.#port = message.port;
      this.#admin = message.admin;
    } else if (message.type === "counts") this.#counts = message.counts;
    else this.#heldMib = message.heldMib;
    this.#tell();
  }

  /** Resolves with the next message, or when the process has ended. */
  #news(): Promise<void> {
    return new Promise((resolve) => this.#told.push(resolve));
  }

  #tell(): void {
    for (const resolve of this.#told.splice(0)) resolve();
  }
}
