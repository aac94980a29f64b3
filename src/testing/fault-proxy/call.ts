import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { systemClock, type Timer } from "../../core/clock.ts";
import { statusName } from "../../core/status.ts";
import { headerOf, toHeaders } from "./headers.ts";
import { injectedStatus } from "./injected-status.ts";
import type { CallRecord } from "./log.ts";
import { MessageLimit } from "./message-limit.ts";
import { isClosed, relayAnswer, relayRequest, swallowAnswer } from "./relay.ts";
import { codeName, resetStream } from "./reset-stream.ts";
import type { Picked } from "./rule-picker.ts";
import { type CallRule, HTTP2_CODES, type Http2Code } from "./rules.ts";

/** node:http2 adds a date of its own unless it is told not to, which its types do not know. */
const AS_IT_IS = { sendDate: false };

/** Whether a call is served after GOAWAY, refused by it, or its answer is lost with the connection. */
export type Goaway = "served" | "refused" | "lost";

/** What a call needs of the link that it is on. */
export interface CallHost {
  readonly near: ServerHttp2Session;
  readonly far: ClientHttp2Session;
  readonly now: () => number;
  /** Resets the connection when what is on its way to the client is there. */
  cut(): void;
  /** Sends GOAWAY; says what it means for the call. */
  goaway(rule: CallRule & { fault: "goaway" }, stream: number): Goaway;
  /** The stream to the client is closed. */
  closed(call: Call): void;
}

/** A call as it came. */
export interface ArrivedCall {
  readonly stream: ServerHttp2Stream;
  readonly headers: OutgoingHttpHeaders;
  /** There is nothing to come but the headers. */
  readonly whole: boolean;
}

/**
 * One call between a client and the server, with the fault of the rule that took it. Its stream to the client is the
 * near one, that to the server the far one.
 */
export class Call {
  readonly #near: ServerHttp2Stream;
  readonly #arrived: ArrivedCall;
  readonly #record: CallRecord;
  readonly #picked: Picked<CallRule> | undefined;
  readonly #host: CallHost;
  #far: ClientHttp2Stream | undefined;
  #trailers: OutgoingHttpHeaders = {};
  #hold: Timer | undefined;
  readonly #over = Promise.withResolvers<void>();

  constructor(arrived: ArrivedCall, record: CallRecord, picked: Picked<CallRule> | undefined, host: CallHost) {
    this.#arrived = arrived;
    this.#near = arrived.stream;
    this.#record = record;
    this.#picked = picked;
    this.#host = host;
    this.#near.on("error", () => {});
    this.#near.on("close", () => this.#nearClosed());
  }

  get nearId(): number {
    return this.#near.id ?? 0;
  }

  /** Undefined if the server knows nothing of it. */
  get farId(): number | undefined {
    return this.#far?.id;
  }

  /** The server has answered completely, and the client does not have all of it yet. */
  get onItsWay(): boolean {
    return this.#record.server === "answered" && !this.#near.destroyed;
  }

  /** Resolves when the near stream is closed. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Goes as the rule says. */
  start(): void {
    const rule = this.#picked?.rule;
    switch (rule?.fault) {
      case "status":
        this.#happened();
        this.#near.resume();
        return this.#respondWhole(injectedStatus(rule, this.#arrived.headers));
      case "goaway":
        this.#happened();
        return this.#sayGoodbye(this.#host.goaway(rule, this.nearId));
      case "reset":
      case "cut":
      case "silent":
        if (rule.afterMessages !== undefined) return this.#relay();
        this.#near.resume();
        return this.#strike();
      default:
        this.#relay();
    }
  }

  /** Tells the client that it may make the call again: nobody has seen it. */
  refuse(): void {
    this.#reset("REFUSED_STREAM");
  }

  #sayGoodbye(goaway: Goaway): void {
    if (goaway === "refused") return this.refuse();
    if (goaway === "lost") this.#told("cut");
    this.#relay();
  }

  /** Makes the call to the server. */
  #relay(): void {
    const session = this.#host.far;
    // The connection ends with the server's.
    if (session.destroyed) return;
    // The server has said goodbye, and the client does not know yet.
    if (session.closed) return this.refuse();
    const { headers, whole } = this.#arrived;
    const far = session.request(headers, { endStream: whole });
    this.#far = far;
    // Past the server's limit of streams at a time, it waits for its turn.
    if (far.pending) far.once("ready", () => this.#reached());
    else this.#reached();
    relayRequest(this.#near, far);
    far.on("error", () => {});
    far.on("response", (received, flags, raw) => {
      const alone = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (alone) this.#answered();
      this.#begin(toHeaders(raw, received), alone, far);
    });
    far.on("trailers", (received, _flags, raw) => {
      this.#answered();
      this.#trailers = toHeaders(raw, received);
    });
    far.on("close", () => this.#farClosed(far));
  }

  /** The answer begins. @param alone it has headers alone. */
  #begin(headers: OutgoingHttpHeaders, alone: boolean, far: ClientHttp2Stream): void {
    const rule = this.#picked?.rule;
    // Lost with its connection.
    if (this.#record.end) return swallowAnswer(far, () => this.#answered());
    if (rule?.fault === "drop") {
      return swallowAnswer(far, () => {
        this.#answered();
        this.#strike();
      });
    }
    if (rule?.fault !== "delay") return this.#respond(headers, alone, far);
    this.#happened();
    this.#hold = systemClock.setTimer(rule.delayMs, () => this.#respond(headers, alone, far));
  }

  #respond(headers: OutgoingHttpHeaders, alone: boolean, far: ClientHttp2Stream): void {
    const near = this.#near;
    if (isClosed(near)) return;
    if (alone) {
      far.resume();
      return this.#respondWhole(headers);
    }
    near.respond(headers, { waitForTrailers: true, ...AS_IT_IS });
    near.on("wantTrailers", () => {
      if (isClosed(near)) return;
      this.#told("status", this.#trailers);
      near.sendTrailers(this.#trailers);
    });
    const rule = this.#picked?.rule;
    const limit = rule && "afterMessages" in rule ? rule.afterMessages : undefined;
    relayAnswer(far, near, limit === undefined ? undefined : new MessageLimit(limit), {
      ended: () => this.#answered(),
      limited: () => this.#strike(),
    });
  }

  /** Trailers alone. */
  #respondWhole(headers: OutgoingHttpHeaders): void {
    this.#told("status", headers);
    this.#near.respond(headers, { endStream: true, ...AS_IT_IS });
  }

  /** The rule's fault, for the client. */
  #strike(): void {
    const rule = this.#picked?.rule;
    if (!rule || this.#near.destroyed || this.#record.end) return;
    this.#happened();
    const sees = rule.fault === "drop" ? (rule.clientSees ?? "reset") : rule.fault;
    if (sees === "reset") this.#reset(("code" in rule && (rule.code as Http2Code)) || "INTERNAL_ERROR");
    if (sees === "cut") {
      this.#told("cut");
      this.#host.cut();
    }
  }

  #reset(code: Http2Code): void {
    this.#told("reset", {}, code);
    resetStream(this.#near, HTTP2_CODES[code]);
  }

  #reached(): void {
    this.#record.server = "reached";
  }

  #answered(): void {
    this.#record.server = "answered";
  }

  /** The server has reset the call, unless it has answered or is gone. */
  #farClosed(far: ClientHttp2Stream): void {
    if (this.#record.end || this.#record.server === "answered" || this.#host.far.destroyed) return;
    this.#hold?.cancel();
    this.#reset(this.#record.server === "reached" ? codeName(far.rstCode) : "REFUSED_STREAM");
  }

  #nearClosed(): void {
    this.#hold?.cancel();
    if (!this.#record.end) {
      const left = this.#host.near.destroyed ? "disconnected" : "cancelled";
      this.#told(left, {}, left === "cancelled" ? codeName(this.#near.rstCode) : undefined);
    }
    this.#leaveServer();
    this.#over.resolve();
    this.#host.closed(this);
  }

  /** The server learns that nobody waits any more: as the client said it, if it did. */
  #leaveServer(): void {
    const far = this.#far;
    if (!far || far.closed || this.#host.near.destroyed) return;
    const { rstCode } = this.#near;
    const said = this.#record.end === "cancelled" || this.#record.end === "status";
    if (said && rstCode === constants.NGHTTP2_NO_ERROR && far.writableEnded) return;
    resetStream(far, said ? rstCode : constants.NGHTTP2_CANCEL);
  }

  #happened(): void {
    if (this.#picked) Object.assign(this.#record, { fault: this.#picked.rule.fault, rule: this.#picked.index });
  }

  /** The client is told the end, or has left. Noted before it is sent, so that it is not noted later than it is known. */
  #told(end: NonNullable<CallRecord["end"]>, trailers: OutgoingHttpHeaders = {}, code?: Http2Code): void {
    const status = headerOf(trailers, "grpc-status");
    this.#record.end = end;
    this.#record.endedAt = this.#host.now();
    this.#record.status = status === undefined ? undefined : statusName(Number(status));
    this.#record.resetCode = code;
  }
}
