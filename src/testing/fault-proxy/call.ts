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

/** One call between a client and the server, with the fault of the rule that took it. */
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

  /** Its stream to the client. */
  get nearId(): number {
    return this.#near.id ?? 0;
  }

  /** Its stream to the server, if there is one. */
  get farId(): number | undefined {
    return this.#far?.id;
  }

  /** The server has answered completely, and the client does not have all of it yet. */
  get onItsWay(): boolean {
    return this.#record.server === "answered" && !this.#near.destroyed;
  }

  /** Resolves when the stream to the client is closed. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** It came after the last one that is served. */
  refuse(): void {
    this.#reset("REFUSED_STREAM");
  }

  start(): void {
    const rule = this.#picked?.rule;
    switch (rule?.fault) {
      case "status":
        this.#near.resume();
        this.#respondWhole(injectedStatus(rule, this.#arrived.headers));
        return this.#happened();
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
    far.on("error", () => {});
    const reached = () => {
      this.#record.server = "reached";
    };
    // Past the server's limit of streams at a time, it waits for its turn.
    if (far.pending) far.once("ready", reached);
    else reached();
    this.#relayRequest(far);
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

  #relayRequest(far: ClientHttp2Stream): void {
    const near = this.#near;
    near.on("data", (chunk: Buffer) => {
      if (!far.closed && !far.destroyed && !far.write(chunk)) near.pause();
    });
    far.on("drain", () => near.resume());
    near.on("end", () => {
      // What a reset leaves behind ends too.
      if (!near.aborted && near.rstCode === constants.NGHTTP2_NO_ERROR && !far.closed) far.end();
    });
  }

  /** The answer begins. */
  #begin(headers: OutgoingHttpHeaders, alone: boolean, far: ClientHttp2Stream): void {
    const rule = this.#picked?.rule;
    // Lost with its connection.
    if (this.#record.end) return void far.resume();
    if (rule?.fault === "drop") {
      far.on("end", () => this.#farEnded(far, () => this.#strike()));
      far.resume();
      return;
    }
    if (rule?.fault !== "delay") return this.#respond(headers, alone, far);
    this.#happened();
    this.#hold = systemClock.setTimer(rule.delayMs, () => this.#respond(headers, alone, far));
  }

  #respond(headers: OutgoingHttpHeaders, alone: boolean, far: ClientHttp2Stream): void {
    const near = this.#near;
    if (near.destroyed || near.closed) return;
    if (alone) {
      far.resume();
      return this.#respondWhole(headers);
    }
    near.respond(headers, { waitForTrailers: true, ...AS_IT_IS });
    near.on("wantTrailers", () => {
      if (near.destroyed || near.closed) return;
      this.#told("status", this.#trailers);
      near.sendTrailers(this.#trailers);
    });
    const rule = this.#picked?.rule;
    const limit = rule && "afterMessages" in rule ? rule.afterMessages : undefined;
    if (limit === undefined) this.#relayAnswer(far, undefined);
    else this.#relayAnswer(far, new MessageLimit(limit));
  }

  #relayAnswer(far: ClientHttp2Stream, limit: MessageLimit | undefined): void {
    const near = this.#near;
    let struck = false;
    const strike = () => {
      struck = true;
      far.resume();
      // Once everything before is on its way.
      near.write(Buffer.alloc(0), () => this.#strike());
    };
    near.on("drain", () => far.resume());
    far.on("data", (chunk: Buffer) => {
      if (struck || near.closed || near.destroyed) return;
      if (!near.write(limit ? limit.take(chunk) : chunk)) far.pause();
      if (limit?.reached) strike();
    });
    far.on("end", () => this.#farEnded(far, () => struck || near.end()));
    if (limit?.reached) strike();
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
    const code = "code" in rule ? (rule.code as Http2Code | undefined) : undefined;
    if (sees === "reset") this.#reset(code ?? "INTERNAL_ERROR");
    if (sees === "cut") {
      this.#told("cut");
      this.#host.cut();
    }
  }

  #reset(code: Http2Code): void {
    this.#told("reset", {}, code);
    resetStream(this.#near, HTTP2_CODES[code]);
  }

  #answered(): void {
    this.#record.server = "answered";
  }

  /** The server's stream has ended, and not by a reset. */
  #farEnded(far: ClientHttp2Stream, go: () => void): void {
    if (far.rstCode !== constants.NGHTTP2_NO_ERROR || far.aborted || this.#near.closed) return;
    this.#answered();
    go();
  }

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
