import { systemClock } from "../../core/clock.ts";
import { checkProxy } from "./check-rules.ts";
import { machineNow } from "./machine-clock.ts";
import { ProxyProcess } from "./proxy-process.ts";
import type { FaultRule } from "./rules.ts";
import type { Seen } from "./seen.ts";

/** How a fault proxy is made. */
export interface FaultProxyOptions {
  /** Where all its chance comes from: a whole number below 2^32. Default: 0. */
  readonly seed?: number | undefined;
}

/** A fault proxy that waits for its script; made by `faultProxy`. */
export interface UnscriptedFaultProxy {
  /**
   * Starts the proxy, in a process of its own, with these rules; without any, all passes untouched. Where several
   * rules take a connection or a call, the first one applies.
   *
   * @throws TypeError that lists everything that is wrong with target, options and rules; Error if the process does
   *   not start.
   */
  script(...rules: readonly FaultRule[]): Promise<FaultProxy>;
}

/** A proxy between real clients and a real server that breaks connections and calls; made by `faultProxy`. */
export interface FaultProxy extends AsyncDisposable {
  /** What clients dial in place of the server: `127.0.0.1` with a port of its own. */
  readonly target: string;
  /** What it was made with: print it, and the script, when a test fails. */
  readonly seed: number;
  /**
   * Has these rules from now on, and no others; without any, all passes untouched. They begin to count, and to draw
   * from the seed, anew. Connections and calls that came before keep the fault that they have.
   *
   * @throws TypeError that lists everything that is wrong with them; Error if the proxy is closed.
   */
  script(...rules: readonly FaultRule[]): Promise<void>;
  /** Tells what came by since the proxy was started or last told to forget. @throws Error if it is closed. */
  seen(): Promise<Seen>;
  /** Forgets what came by, also what is still open: the next `seen()` has none of it. @throws Error if it is closed. */
  forget(): Promise<void>;
  /**
   * Ends the process, and with it every connection; what is asked and unanswered rejects. The same as leaving an
   * `await using` block. If it is forgotten, the proxy ends with this process, which it does not keep alive.
   */
  close(): Promise<void>;
}

/**
 * Makes a proxy for tests that sits between a real client and a real server, over TCP on loopback, and breaks what
 * passes as its script says: the bytes of connections, and the HTTP/2 frames of calls. It lives in a process of its
 * own, which ends with this one.
 *
 * As long as no rule takes it, a call passes untouched. When the server refuses a connection or dies, so does the
 * client's connection, and the other way round. What is not plaintext HTTP/2, such as TLS, passes as bytes: rules for
 * calls cannot apply there, and the proxy warns of it.
 *
 * @param target where the server is: `host:port`.
 */
export function faultProxy(target: string, options: FaultProxyOptions = {}): UnscriptedFaultProxy {
  return {
    async script(...rules) {
      const address = checkProxy(target, options, rules);
      const seed = options.seed ?? 0;
      const originMs = machineNow() - systemClock.now();
      const { process, port } = await ProxyProcess.start({ type: "start", target: address, seed, rules, originMs });
      return new ScriptedFaultProxy(process, `127.0.0.1:${port}`, seed);
    },
  };
}

class ScriptedFaultProxy implements FaultProxy {
  readonly target: string;
  readonly seed: number;
  readonly #process: ProxyProcess;

  constructor(process: ProxyProcess, target: string, seed: number) {
    this.#process = process;
    this.target = target;
    this.seed = seed;
  }

  async script(...rules: readonly FaultRule[]): Promise<void> {
    checkProxy(this.target, {}, rules);
    await this.#process.ask({ type: "script", rules });
  }

  async seen(): Promise<Seen> {
    return (await this.#process.ask({ type: "seen" })) as Seen;
  }

  async forget(): Promise<void> {
    await this.#process.ask({ type: "forget" });
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
