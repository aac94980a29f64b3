import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { Numbered, Request, Start, Told } from "./messages.ts";
import type { Seen } from "./seen.ts";

/** Runs from source and from what is built of it. */
const FILE = import.meta.url.endsWith(".ts") ? "./process.ts" : "./process.js";
/** How much is kept of what the process writes before it ends. */
const MOST_TEXT = 4_000;

/** A fault proxy's process, as the one that started it has it: kept alive by it only while something is awaited. */
export class ProxyProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<Seen | undefined>>();
  readonly #listening = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<void>();
  #count = 0;
  /** Whether its start, or its end, is awaited. */
  #turning = true;
  #written = "";
  #end: string | undefined;

  private constructor() {
    this.#child = fork(fileURLToPath(new URL(FILE, import.meta.url)), {
      // Node 22 warns that it strips types.
      execArgv: ["--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#written = (this.#written + text).slice(-MOST_TEXT);
    });
    this.#child.on("message", (told) => this.#hear(told as Told));
    this.#child.on("error", (error) => this.#over(`did not start: ${error.message}`));
    // After its last message, and with all that it wrote.
    this.#child.on("close", (code, signal) => this.#over(`ended with ${signal ?? code}`));
  }

  /** @throws Error if the process ends instead of listening. */
  static async start(start: Start): Promise<{ readonly process: ProxyProcess; readonly port: number }> {
    const process = new ProxyProcess();
    process.#send(start);
    try {
      return { process, port: await process.#listening.promise };
    } catch (error) {
      await process.close();
      throw error;
    }
  }

  /** @throws Error if the process has ended. */
  ask(request: Request): Promise<Seen | undefined> {
    this.#count += 1;
    const reply = Promise.withResolvers<Seen | undefined>();
    if (this.#end !== undefined) {
      reply.reject(this.#gone());
      return reply.promise;
    }
    this.#waiting.set(this.#count, reply);
    this.#hold();
    this.#send({ ...request, id: this.#count });
    return reply.promise;
  }

  /** Resolves when the process is gone, and all its sockets with it. What is asked and unanswered rejects at once. */
  async close(): Promise<void> {
    this.#end ??= "is closed";
    this.#rejectAll();
    this.#turning = true;
    this.#hold();
    this.#child.kill("SIGKILL");
    await this.#ended.promise;
  }

  /** Has the parent live on for an answer, but not for a proxy that nobody closes: that one ends with it. */
  #hold(): void {
    const how = this.#turning || this.#waiting.size > 0 ? "ref" : "unref";
    this.#child[how]();
    this.#child.channel?.[how]();
    // A pipe is a socket, which the types do not tell.
    (this.#child.stderr as Socket | null)?.[how]();
  }

  #send(message: Start | Numbered): void {
    // If it cannot be told any more it has ended, which is told to whoever waits.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #hear(told: Told): void {
    if (told.type === "listening") {
      this.#turning = false;
      this.#hold();
      return this.#listening.resolve(told.port);
    }
    if (told.type === "warning") return process.emitWarning(`bowline: fault proxy: ${told.text}`);
    this.#waiting.get(told.id)?.resolve(told.seen);
    this.#waiting.delete(told.id);
    this.#hold();
  }

  #over(how: string): void {
    this.#end ??= this.#written === "" ? how : `${how}: ${this.#written.trim()}`;
    this.#listening.reject(this.#gone());
    this.#rejectAll();
    this.#ended.resolve();
  }

  #rejectAll(): void {
    for (const reply of this.#waiting.values()) reply.reject(this.#gone());
    this.#waiting.clear();
  }

  #gone(): Error {
    return new Error(`the fault proxy ${this.#end}`);
  }
}
