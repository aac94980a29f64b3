import { once } from "node:events";
import type { Writable } from "node:stream";
import { type Clock, sleep } from "../../core/clock.ts";
import type { Picked } from "./rule-picker.ts";
import type { ConnectionRule, Towards } from "./rules.ts";

/** How bytes go one way. */
export type Passage = (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/** What passages need to know, and whom they tell. */
export interface PassageHost {
  readonly clock: Clock;
  /** Aborts when the connection is over. */
  readonly signal: AbortSignal;
  /** The rule's fault happens. */
  happened(): void;
}

const NEVER = new Promise<never>(() => {});
/** How much a delay may hold at a time. */
const MOST_HELD_BYTES = 4 * 1024 * 1024;
/** A throttle lets bytes pass in portions, so many per second at most. */
const PORTIONS_PER_SECOND = 50;

const untouched: Passage = (chunks) => chunks;

/** How bytes go each way on a connection that a rule took. */
export function passages(
  picked: Picked<ConnectionRule> | undefined,
  host: PassageHost,
): Readonly<Record<Towards, Passage>> {
  if (!picked) return { client: untouched, server: untouched };
  const { rule, bit } = picked;
  switch (rule.fault) {
    case "silent":
      return { client: untouched, server: untouched };
    case "cut":
      return oneWay(rule.towards, cut(rule.afterBytes ?? 0, host));
    case "corrupt":
      return oneWay(rule.towards, corrupt(rule.afterBytes ?? 0, bit, host));
    case "half-open":
      return halfOpen(rule.afterBytes ?? 0, rule.towards ?? "client", host);
    case "delay":
      return eitherWay(rule.towards, delay(rule.delayMs, host));
    case "throttle":
      return eitherWay(rule.towards, throttle(rule.bytesPerSecond, host));
  }
}

/** Writes what passes; resolves when it ends. @throws when the connection is over before. */
export async function pump(chunks: AsyncIterable<Buffer>, sink: Writable, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    if (!sink.write(chunk)) await once(sink, "drain", { signal });
  }
}

function oneWay(towards: Towards = "client", passage: Passage): Readonly<Record<Towards, Passage>> {
  return { client: untouched, server: untouched, [towards]: passage };
}

function eitherWay(towards: Towards | undefined, passage: Passage): Readonly<Record<Towards, Passage>> {
  return towards ? oneWay(towards, passage) : { client: passage, server: passage };
}

/** Ends after so many bytes. */
function cut(afterBytes: number, host: PassageHost): Passage {
  return async function* (chunks) {
    let left = afterBytes;
    if (left > 0) {
      for await (const chunk of chunks) {
        yield chunk.subarray(0, left);
        left -= chunk.length;
        if (left <= 0) break;
      }
    }
    if (left <= 0) host.happened();
  };
}

function corrupt(afterBytes: number, bit: number, host: PassageHost): Passage {
  return async function* (chunks) {
    let left = afterBytes;
    for await (const chunk of chunks) {
      if (left >= 0 && left < chunk.length) {
        chunk.writeUInt8(chunk.readUInt8(left) ^ (1 << bit), left);
        host.happened();
      }
      left -= chunk.length;
      yield chunk;
    }
  };
}

/** Both ways stop when one has had its bytes, and neither tells that the other side has ended. */
function halfOpen(afterBytes: number, towards: Towards, host: PassageHost): Readonly<Record<Towards, Passage>> {
  let stopped = false;
  const stop = () => {
    stopped = true;
    host.happened();
  };
  const counted: Passage = async function* (chunks) {
    let left = afterBytes;
    if (left === 0) stop();
    for await (const chunk of chunks) {
      if (stopped) await NEVER;
      yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) stop();
    }
    if (stopped) await NEVER;
  };
  const other: Passage = async function* (chunks) {
    for await (const chunk of chunks) {
      if (stopped) await NEVER;
      yield chunk;
    }
    if (stopped) await NEVER;
  };
  return towards === "client" ? { client: counted, server: other } : { client: other, server: counted };
}

function delay(delayMs: number, { clock, signal, happened }: PassageHost): Passage {
  return async function* (chunks) {
    happened();
    const held: { readonly chunk: Buffer; readonly dueAt: number }[] = [];
    const state = { bytes: 0, ended: false, changed: Promise.withResolvers<void>() };
    const change = () => {
      state.changed.resolve();
      state.changed = Promise.withResolvers();
    };
    const collect = async () => {
      for await (const chunk of chunks) {
        held.push({ chunk, dueAt: clock.now() + delayMs });
        state.bytes += chunk.length;
        change();
        while (state.bytes > MOST_HELD_BYTES) await state.changed.promise;
      }
    };
    const collected = collect().finally(() => {
      state.ended = true;
      change();
    });
    // Whoever waits below is told.
    collected.catch(() => {});
    while (!state.ended || held.length > 0) {
      const next = held.shift();
      if (!next) {
        await state.changed.promise;
        continue;
      }
      await sleep(clock, Math.max(0, next.dueAt - clock.now()), signal);
      state.bytes -= next.chunk.length;
      change();
      yield next.chunk;
    }
    await collected;
  };
}

function throttle(bytesPerSecond: number, { clock, signal, happened }: PassageHost): Passage {
  const portion = Math.max(1, Math.floor(bytesPerSecond / PORTIONS_PER_SECOND));
  return async function* (chunks) {
    happened();
    let freeAt = clock.now();
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += portion) {
        await sleep(clock, Math.max(0, freeAt - clock.now()), signal);
        const part = chunk.subarray(start, start + portion);
        freeAt = Math.max(freeAt, clock.now()) + (part.length / bytesPerSecond) * 1_000;
        yield part;
      }
    }
  };
}
