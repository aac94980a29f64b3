import {
  type ClientHttp2Session,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from "node:http2";
import type { Socket } from "node:net";
import { sleep, systemClock } from "../../core/clock.ts";
import { PREVIOUS_ATTEMPTS } from "../../core/metadata-keys.ts";
import { Call, type Goaway } from "./call.ts";
import { headerOf, toHeaders } from "./headers.ts";
import type { CallRecord } from "./log.ts";
import type { Picked } from "./rule-picker.ts";
import { type CallRule, HTTP2_CODES } from "./rules.ts";

const MOST = 4_294_967_295;
/** How long what is on its way to the client may take to get there when a connection ends, in milliseconds. */
const GRACE_MS = 500;

/** What both sides of the proxy have in common. Limits are for the client and the server to set, not for the proxy. */
export const SESSION_OPTIONS = {
  maxSessionMemory: 4_096,
  maxHeaderListPairs: 65_536,
  maxSendHeaderBlockLength: 16 * 1024 * 1024,
  maxOutstandingPings: 10_000,
  maxOutstandingSettings: 10_000,
  maxSessionInvalidFrames: MOST,
  maxSessionRejectedStreams: MOST,
  // Node ends a connection on which more calls are left than this.
  streamResetBurst: MOST,
  streamResetRate: MOST,
  peerMaxConcurrentStreams: 2 ** 31 - 1,
  strictSingleValueFields: false,
  settings: { maxHeaderListSize: 16 * 1024 * 1024, enablePush: false },
};

/** Why a link ends its connection: it is over, the server is gone, or a rule cuts it. */
export type LinkEnd = "over" | "lost" | "cut";

/** What a link needs of its connection and of the proxy. */
export interface LinkHost {
  readonly now: () => number;
  pick(method: string): Picked<CallRule> | undefined;
  /** Notes a call that came. */
  call(method: string, previousAttempts: number): CallRecord;
  /** Ends the connection when everything that is on its way to the client is there. */
  end(why: LinkEnd): void;
}

/** HTTP/2 towards a client, and towards the server. Each call is relayed, or what a rule makes of it. */
export class Http2Link {
  readonly #near: ServerHttp2Session;
  readonly #far: ClientHttp2Session;
  readonly #host: LinkHost;
  readonly #calls = new Set<Call>();
  /** The last stream that the client was told to be served. */
  #lastStream = 2 ** 31 - 1;
  /** The last stream that came. */
  #highest = 0;
  /** It ends when no call is open. */
  #draining = false;
  #ended = false;

  constructor(served: Socket, far: ClientHttp2Session, host: LinkHost) {
    this.#far = far;
    this.#host = host;
    this.#near = performServerHandshake(served, { ...SESSION_OPTIONS, settings: limitsOf(far) });
    this.#near.on("error", () => {});
    this.#near.on("stream", (stream, headers, flags, raw) => this.#open(stream, headers, flags, raw));
    far.on("remoteSettings", () => this.#near.destroyed || this.#near.settings(limitsOf(far)));
    far.on("goaway", (code, lastStream, data) => this.#passGoaway(code, lastStream, data));
    far.on("close", () => void this.#lost());
  }

  #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: readonly string[]): void {
    const { id = 0 } = stream;
    this.#highest = id;
    const passed = toHeaders(raw, headers);
    const method = String(headers[":path"]);
    const record = this.#host.call(method, previousAttempts(passed));
    const whole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const picked = id > this.#lastStream ? undefined : this.#host.pick(method);
    const call = new Call({ stream, headers: passed, whole }, record, picked, {
      near: this.#near,
      far: this.#far,
      now: this.#host.now,
      cut: () => this.#end("cut"),
      goaway: (rule, id) => this.#goaway(rule, id),
      closed: (closed) => this.#closed(closed),
    });
    this.#calls.add(call);
    // What the client sent before it read the goodbye.
    if (id > this.#lastStream) call.refuse();
    // What comes while the connection ends goes nowhere.
    else if (!this.#ended) call.start();
  }

  #closed(call: Call): void {
    this.#calls.delete(call);
    if (this.#draining) this.#drained();
  }

  #goaway({ code = "NO_ERROR", lastStream = "this" }: CallRule & { fault: "goaway" }, id: number): Goaway {
    const last = lastStream === "this" ? id : lastStream === "previous" ? id - 2 : lastStream;
    this.#sendGoaway(HTTP2_CODES[code], last);
    if (id > last) return "refused";
    return code === "NO_ERROR" ? "served" : "lost";
  }

  /** The server's word, about the client's streams. */
  #passGoaway(code: number, lastStream: number, data: Buffer | undefined): void {
    const refused = [...this.#calls].filter(({ farId }) => farId !== undefined && farId > lastStream);
    const last = Math.min(this.#highest, ...refused.map(({ nearId }) => nearId - 2));
    this.#sendGoaway(code, last, data);
  }

  #sendGoaway(code: number, lastStream: number, data?: Buffer): void {
    if (this.#near.destroyed) return;
    this.#lastStream = Math.min(this.#lastStream, lastStream);
    // node:http2 cannot say that no stream is served. It is of no weight: each stream that is not is reset besides.
    this.#near.goaway(code, Math.max(1, this.#lastStream), data);
    this.#draining = true;
    if (code === HTTP2_CODES.NO_ERROR) return this.#drained();
    // The client's answer shows that it has read what was sent before.
    this.#near.ping(() => this.#end("over"));
    this.#endSoon();
  }

  /** It is the client that closes a connection after a goodbye; one that does not is helped. */
  #drained(): void {
    if (this.#calls.size === 0) this.#endSoon();
  }

  #endSoon(): void {
    sleep(systemClock, GRACE_MS).then(() => this.#end("over"));
  }

  /** The server is gone. What it had answered completely still gets to the client. */
  async #lost(): Promise<void> {
    const onTheirWay = [...this.#calls].filter((call) => call.onItsWay).map((call) => call.over);
    await Promise.race([Promise.all(onTheirWay), sleep(systemClock, GRACE_MS)]);
    this.#end("lost");
  }

  #end(why: LinkEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.end(why);
  }
}

function previousAttempts(headers: OutgoingHttpHeaders): number {
  return Number(headerOf(headers, PREVIOUS_ATTEMPTS)) || 0;
}

/** The server's limits, for the client to keep to. */
function limitsOf(far: ClientHttp2Session): Settings {
  const { maxConcurrentStreams, maxHeaderListSize } = far.remoteSettings;
  return {
    ...(maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams }),
    ...(maxHeaderListSize === undefined ? {} : { maxHeaderListSize }),
  };
}
