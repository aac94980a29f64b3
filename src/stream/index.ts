/**
 * Operators over `AsyncIterable`: for responses of a call, streams of requests, and what a handler yields from. And one
 * source for many readers.
 */
export type { LagPolicy } from "../policy/broadcast-reader.ts";
export { batch, type TimedOperatorOptions } from "./batch.ts";
export type { Overflow } from "./bounded-queue.ts";
export { type Broadcast, type BroadcastStats, createBroadcast } from "./broadcast/broadcast.ts";
export type { BroadcastOptions } from "./broadcast/broadcast-options.ts";
export type { ReplaySource } from "./broadcast/replay.ts";
export type { SubscribeOptions, Subscription } from "./broadcast/subscription.ts";
export { type BufferedStream, type BufferStats, buffer } from "./buffer.ts";
export type { BufferOptions } from "./buffer-options.ts";
export { collect } from "./collect.ts";
export { filter } from "./filter.ts";
export { latest } from "./latest.ts";
export { map } from "./map.ts";
export { type MapConcurrentOptions, mapConcurrent } from "./map-concurrent.ts";
export { merge } from "./merge.ts";
export type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
export { take } from "./take.ts";
export { tap } from "./tap.ts";
export { timeoutBetween } from "./timeout-between.ts";
