import { type Channel, Metadata, type StatusObject } from "@grpc/grpc-js";
import type { WireCall } from "../../src/transport/wire-call.ts";

/** What a call was given when it was created, and what was done with it since. */
export class ScriptedCall {
  readonly path: string;
  /** Milliseconds of wall time. */
  readonly deadline: number;
  metadata = new Metadata();
  /** JSON of what was sent, in order; `end` at the half-close. */
  readonly sent: unknown[] = [];
  /** How many messages were asked for. */
  reads = 0;
  cancelled: { readonly code: number; readonly details: string } | undefined;
  /** Whether the callback of each sent message is called at once; otherwise by `taken()`. */
  readonly takes: boolean;
  readonly #untaken: (() => void)[] = [];
  #listener: WireCall | undefined;

  constructor(path: string, deadline: number, takes: boolean) {
    this.path = path;
    this.deadline = deadline;
    this.takes = takes;
  }

  start(metadata: Metadata, listener: WireCall): void {
    this.metadata = metadata;
    this.#listener = listener;
  }

  startRead(): void {
    this.reads += 1;
  }

  sendMessageWithContext(context: { callback?: () => void }, bytes: Buffer): void {
    this.sent.push(JSON.parse(bytes.toString()));
    if (this.takes) context.callback?.();
    else if (context.callback) this.#untaken.push(context.callback);
  }

  halfClose(): void {
    this.sent.push("end");
  }

  cancelWithStatus(code: number, details: string): void {
    this.cancelled = { code, details };
  }

  /** Lets the oldest message that waits go. */
  taken(): void {
    this.#untaken.shift()?.();
  }

  header(values: Record<string, string> = {}): void {
    this.#listener?.onReceiveMetadata(toMetadata(values));
  }

  message(message: unknown): void {
    this.bytes(JSON.stringify(message));
  }

  bytes(text: string): void {
    this.#listener?.onReceiveMessage(Buffer.from(text));
  }

  status(code: number, details = "", trailer: Record<string, string> = {}): void {
    const status: StatusObject = { code, details, metadata: toMetadata(trailer) };
    this.#listener?.onReceiveStatus(status);
  }
}

/** A channel whose calls a test answers. */
export class ScriptedChannel {
  readonly calls: ScriptedCall[] = [];
  closed = false;
  readonly #takes: boolean;

  constructor(options: { readonly takes?: boolean } = {}) {
    this.#takes = options.takes ?? true;
  }

  /** The channel as attempts take it. */
  get channel(): Channel {
    return this as unknown as Channel;
  }

  /** The newest call. */
  get call(): ScriptedCall {
    const call = this.calls.at(-1);
    if (!call) throw new Error("no call was created");
    return call;
  }

  createCall(path: string, deadline: number): ScriptedCall {
    if (this.closed) throw new Error("Channel has been shut down");
    const call = new ScriptedCall(path, deadline, this.#takes);
    this.calls.push(call);
    return call;
  }
}

function toMetadata(values: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  return metadata;
}
