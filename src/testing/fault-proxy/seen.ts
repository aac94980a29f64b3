import type { StatusName } from "../../core/status.ts";
import type { CallRule, ConnectionRule, Http2Code } from "./rules.ts";

/**
 * What a fault proxy saw. All times are in milliseconds on the clock of the process that asks, so that they compare
 * with its `performance.now()`.
 */
export interface Seen {
  /** When this was asked for. */
  readonly now: number;
  /** Every connection that came, in order. */
  readonly connections: readonly SeenConnection[];
  /**
   * Every call that came, in order; each attempt is one. What comes on a connection after a goodbye is refused, and
   * need not be among them.
   */
  readonly calls: readonly SeenCall[];
}

/** A client's connection as the proxy saw it. */
export interface SeenConnection {
  /** Counted from 1, over the proxy's life. */
  readonly id: number;
  readonly cameAt: number;
  /** Undefined while it is open. */
  readonly endedAt: number | undefined;
  /** What it began with. Calls can be seen, and their rules apply, on `http2` alone; TLS is `other`. */
  readonly protocol: "http2" | "other" | undefined;
  /** Whether the server took the connection. */
  readonly server: "not reached" | "refused" | "reached";
  /** What happened to it; undefined while nothing has. */
  readonly fault: ConnectionRule["fault"] | undefined;
  /** The rule that did it: its place in the script, from 0. */
  readonly rule: number | undefined;
}

/** A call as the proxy saw it: one attempt. */
export interface SeenCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  /** The `id` of its connection. */
  readonly connection: number;
  /** When its headers came. */
  readonly cameAt: number;
  /** When the client was told the end, or had left; undefined while it is open. Never later than the client knew. */
  readonly endedAt: number | undefined;
  /** How many attempts the client made before this one: `grpc-previous-rpc-attempts`, which a first one does not have. */
  readonly previousAttempts: number;
  /** How far it got: to the server, and whether that has answered completely. */
  readonly server: "not reached" | "reached" | "answered";
  /** What happened to it; undefined while nothing has. */
  readonly fault: CallRule["fault"] | undefined;
  /** The rule that did it: its place in the script, from 0. */
  readonly rule: number | undefined;
  /**
   * How it ended for the client; undefined while it is open.
   *
   * - `status`: with a status;
   * - `reset`: its stream was reset;
   * - `cut`: its rule cut the connection;
   * - `cancelled`: the client left it;
   * - `disconnected`: the connection broke or was cut for other reasons.
   */
  readonly end: "status" | "reset" | "cut" | "cancelled" | "disconnected" | undefined;
  /** The status that the client was sent. */
  readonly status: StatusName | undefined;
  /** The code that its stream was reset with, by the client if it was `cancelled`. */
  readonly resetCode: Http2Code | undefined;
}
