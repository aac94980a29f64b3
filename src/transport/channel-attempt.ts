import type { Channel } from "@grpc/grpc-js";
import type { Attempt } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { ChannelReply } from "./channel-reply.ts";
import { ChannelStream } from "./channel-stream.ts";

/**
 * Attempts over a grpc-js channel, without grpc-js's or nice-grpc's client in between: the deadline is grpc-js's own,
 * no stack trace is taken per call, and metadata is converted only where somebody reads it.
 */
export function channelAttempt(channel: Channel, clock: Clock): Attempt {
  return {
    unary: (call) => new Promise((resolve, reject) => new ChannelReply(channel, clock, call, { resolve, reject })),
    stream: (call) => new ChannelStream(channel, clock, call),
  };
}
