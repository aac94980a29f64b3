import type { Reply } from "../../src/core/call.ts";
import { Metadata } from "../../src/transport/index.ts";

/** What is measured: one call through some policies, around the same work. */
export interface Subject {
  readonly title: string;
  call(): Promise<unknown>;
}

/** What every call asks for, if it matters not what. */
export const request: object = {};

/** What every call is answered with. */
export const reply: Reply = { message: {}, header: new Metadata(), trailer: new Metadata() };

/** What every subject runs: an async function that is asked for something, and waits once for what is there already. */
export async function work(_request: object): Promise<Reply> {
  await undefined;
  return reply;
}

/** The settings that all of them have, in milliseconds and shares. */
export const settings = {
  timeoutMs: 2_000,
  maxAttempts: 3,
  initialBackoffMs: 50,
  maxBackoffMs: 1_000,
  failureRatio: 0.5,
  windowMs: 10_000,
  minimumCalls: 20,
  openMs: 5_000,
} as const;
