import type { Channel } from "@grpc/grpc-js";
import type { Attempt } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { ChannelReply } from "./channel-reply.ts";
import { ChannelStream } from "./channel-stream.ts";
import { WireCalls } from "./wire-calls.ts";

/** Attempts over a channel that can be closed. */
export interface ChannelAttempt extends Attempt {
  /** Closes the channel: calls under way end with reason `CLIENT_CLOSED`, and so does every further one. */
  close(): void;
}

/**
 * Attempts over a grpc-js channel, without grpc-js's or nice-grpc's client in between: the deadline is grpc-js's own,
 * no stack trace is taken per call, and metadata is converted only where somebody reads it.
 *
 * @param maxMetadataBytes the most metadata of a request, in bytes as HTTP/2 counts them. Default: 56 KiB.
 */
export function channelAttempt(channel: Channel, clock: Clock, maxMetadataBytes?: number): ChannelAttempt {
  const calls = new WireCalls(channel, clock, maxMetadataBytes);
  return {
    unary: (call) => new Promise((resolve, reject) => new ChannelReply(calls, call, { resolve, reject })),
    stream: (call) => new ChannelStream(calls, call),
    close: () => calls.close(),
  };
}
