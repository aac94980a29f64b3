import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Address } from "./check-rules.ts";
import { Connection } from "./connection.ts";
import { Log } from "./log.ts";
import { type Picked, RulePicker } from "./rule-picker.ts";
import type { CallRule, ConnectionRule, FaultRule } from "./rules.ts";
import { SocketPairs } from "./socket-pairs.ts";

/** What a proxy is made from. */
export interface ProxySettings {
  readonly target: Address;
  readonly seed: number;
  readonly rules: readonly FaultRule[];
  readonly now: () => number;
  /** Is told, once for each script, that rules for calls cannot apply to a connection that came. */
  readonly onUnseen: () => void;
}

/** The proxy itself: takes connections, and has each go as the script says. */
export class ProxyServer {
  readonly log: Log;
  readonly #settings: ProxySettings;
  readonly #pairs: SocketPairs;
  readonly #server: Server;
  #pickers: Pickers;
  #warned = false;

  private constructor(settings: ProxySettings, pairs: SocketPairs, server: Server) {
    this.#settings = settings;
    this.#pairs = pairs;
    this.#server = server;
    this.log = new Log(settings.now);
    this.#pickers = pickersOf(settings.rules, settings.seed);
    server.on("connection", (socket) => {
      const picked = this.#pickers.connections.pick(() => true);
      const connection = new Connection(socket, picked, {
        target: this.#settings.target,
        pairs: this.#pairs,
        log: this.log,
        pick: (method) => this.#pickCall(method),
        unseen: () => this.#warn(),
      });
      // Whatever goes wrong with one connection ends that one.
      connection.run().catch(() => connection.sever("reset"));
    });
  }

  /** Listens on a port of its own, on loopback alone. */
  static async listen(settings: ProxySettings): Promise<ProxyServer> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const proxy = new ProxyServer(settings, await SocketPairs.listen(), server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Has other rules from now on, for what comes from now on. */
  script(rules: readonly FaultRule[]): void {
    this.#pickers = pickersOf(rules, this.#settings.seed);
    this.#warned = false;
  }

  #pickCall(path: string): Picked<CallRule> | undefined {
    return this.#pickers.calls.pick(({ method }) => method === undefined || isMethod(path, method));
  }

  #warn(): void {
    if (this.#warned || this.#pickers.calls.empty) return;
    this.#warned = true;
    this.#settings.onUnseen();
  }
}

/** Whether a path is a method's: by the whole path, or by its name as the contract or as a client has it. */
function isMethod(path: string, method: string): boolean {
  if (method.startsWith("/")) return path === method;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.slice(1) === method.slice(1) && name.charAt(0).toLowerCase() === method.charAt(0).toLowerCase();
}

interface Pickers {
  readonly connections: RulePicker<ConnectionRule>;
  readonly calls: RulePicker<CallRule>;
}

/** The rules of a script, which have counted nothing yet. */
function pickersOf(rules: readonly FaultRule[], seed: number): Pickers {
  const placed = rules.map((rule, index) => ({ rule, index }));
  return {
    connections: new RulePicker(placed.filter(isForConnections), seed),
    calls: new RulePicker(placed.filter(isForCalls), seed),
  };
}

type Placed<Rule> = { readonly rule: Rule; readonly index: number };

function isForConnections(placed: Placed<FaultRule>): placed is Placed<ConnectionRule> {
  return placed.rule.on === "connection";
}

function isForCalls(placed: Placed<FaultRule>): placed is Placed<CallRule> {
  return placed.rule.on === "call";
}
