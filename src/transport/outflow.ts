import { messageSize } from "./message-size.ts";

/**
 * How much of a stream's responses waits to be sent before the handler is suspended, in bytes; each message counts 256
 * besides its own. A client that has stopped reading costs its server no more than this, one message, and what small
 * messages keep of Node's buffer pool: a slab of 64 KiB.
 *
 * Enough for small messages to fill HTTP/2 frames. More made nothing faster, because Node hands over to the kernel what
 * the client has room for, however much that is; so it is no option.
 */
export const STREAM_BUFFER_BYTES = 32 * 1024;

/** A handler goes on when no more waits than this, so that it makes many messages at a time, not one as one leaves. */
const ROOM_AGAIN_BYTES = STREAM_BUFFER_BYTES / 2;

/** Hears of what becomes of a stream's responses. */
export interface OutflowListener {
  /** There is room again. */
  onRoom(): void;
  /** grpc-js has ended the call, whoever told it to: it sends no more messages. */
  onOver(): void;
}

/** What of one stream's responses has been handed to HTTP/2 and has not left yet. */
export class Outflow {
  /** Of what waits, oldest first: HTTP/2 keeps the order, and a closure for each message would cost more than it. */
  readonly #sizes: number[] = [];
  #waitingBytes = 0;
  #over = false;
  #listener: OutflowListener | undefined;

  get full(): boolean {
    return this.#waitingBytes >= STREAM_BUFFER_BYTES;
  }

  /** Whether the call's status is on its way: what is written after it would break the call off. */
  get over(): boolean {
    return this.#over;
  }

  listen(listener: OutflowListener): void {
    this.#listener = listener;
  }

  /** Counts a message that is handed over. */
  add(message: Uint8Array): void {
    const size = messageSize(message);
    this.#sizes.push(size);
    this.#waitingBytes += size;
  }

  /** The oldest message that was handed over has left. */
  readonly left = (): void => {
    this.#waitingBytes -= this.#sizes.shift() ?? 0;
    if (this.#waitingBytes <= ROOM_AGAIN_BYTES) this.#listener?.onRoom();
  };

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener?.onOver();
  }
}

/** A call, on both sides of its interceptors. */
interface Recording {
  getMetricsRecorder(): object;
}

const outflows = new WeakMap<object, Outflow>();

/**
 * The outflow of a call. It goes by the call's metrics recorder: the one object of a call that an interceptor and the
 * handler both reach, whatever interceptors stand between.
 */
export function outflowOf(call: Recording): Outflow {
  const key = call.getMetricsRecorder();
  let outflow = outflows.get(key);
  if (!outflow) {
    outflow = new Outflow();
    outflows.set(key, outflow);
  }
  return outflow;
}
