import type { Channel } from "@grpc/grpc-js";
import type { Clock } from "../core/clock.ts";

/** A call that can be ended from outside. */
interface Closable {
  closed(): void;
}

/** A channel with its calls under way. */
export class WireCalls {
  readonly channel: Channel;
  readonly clock: Clock;
  /** The most metadata of a request, in bytes as HTTP/2 counts them; undefined for 56 KiB. */
  readonly maxMetadataBytes: number | undefined;
  readonly #calls = new Set<Closable>();

  constructor(channel: Channel, clock: Clock, maxMetadataBytes: number | undefined) {
    this.channel = channel;
    this.clock = clock;
    this.maxMetadataBytes = maxMetadataBytes;
  }

  add(call: Closable): void {
    this.#calls.add(call);
  }

  remove(call: Closable): void {
    this.#calls.delete(call);
  }

  /** Ends every call under way, and closes the channel. */
  close(): void {
    for (const call of [...this.#calls]) call.closed();
    this.channel.close();
  }
}
