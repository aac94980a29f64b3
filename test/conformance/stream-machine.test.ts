import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Call } from "../../src/core/call.ts";
import { DONE, type MessageStream } from "../../src/core/message-stream.ts";
import { Status } from "../../src/core/status.ts";
import { breaking } from "../support/breaking.ts";
import { newest, openStream } from "../support/driven.ts";
import { rejection } from "../support/orders.ts";
import {
  aCut,
  aDrain,
  around,
  breakerOpen,
  expired,
  pinnedAt,
  type Resuming,
  resuming,
  stalling,
  unsent,
} from "../support/resuming.ts";
import { aFailure, NOTHING_LEFT } from "../support/retrying.ts";
import { aCall, aMethod, ScriptedStreams } from "../support/scripted.ts";

/** A stream that resumes, and stalls after three intervals of 10 ms; attempts are the test's. Waits are 50, 100 … ms. */
function open(request: object, policy: Resuming = {}, changes: Partial<Call> = {}) {
  const set = resuming(policy);
  const { layer } = stalling(set.clock, false);
  const opened = openStream(around(set.layer, layer), { request, signal: set.controller.signal, ...changes });
  return { ...set, ...opened, requests: () => opened.attempts.calls.map(({ request }) => request) };
}

type Opened = ReturnType<typeof open>;

const at = (position: unknown) => ({ at: position });
const marker = (position: unknown) => ({ at: position, mark: true });

function read(stream: MessageStream): Promise<IteratorResult<unknown, undefined>> {
  const next = stream.next();
  next.catch(() => {});
  return next;
}

/** What a reader gets of an attempt's messages. */
async function readAll({ stream, attempts }: Opened, ...messages: object[]): Promise<unknown[]> {
  const reads = messages.map(() => read(stream));
  for (const message of messages) newest(attempts).message(message);
  await setImmediate();
  const settled = await Promise.all(reads.map((read) => Promise.race([read, setImmediate(undefined)])));
  return settled.flatMap((result) => (result && !result.done ? [Reflect.get(result.value as object, "at")] : []));
}

async function breaks({ attempts, clock }: Opened, error: unknown = aCut(), ms = 50): Promise<void> {
  newest(attempts).fail(error);
  await clock.advance(ms);
}

test("S1 a stream continues after the last position that was delivered", async () => {
  const opened = open({ after: 5n });
  const first = read(opened.stream);
  for (const position of [6n, 7n, 8n]) newest(opened.attempts).message(at(position));
  await first;
  // 7 and 8 had come, and were lost with the connection before anybody read them.
  const [attempt] = opened.attempts.streams;
  await attempt?.next();
  await attempt?.next();
  const next = read(opened.stream);
  await breaks(opened);
  expect(opened.requests()).toEqual([{ after: 5n }, { after: 6n }]);
  newest(opened.attempts).message(at(7n));
  expect(await next).toEqual({ done: false, value: at(7n) });
});

test("S1 a progress marker advances it too", async () => {
  const opened = open({ after: 5n });
  expect(await readAll(opened, at(6n), marker(40n))).toEqual([6n]);
  await breaks(opened);
  expect(opened.requests()).toEqual([{ after: 5n }, { after: 40n }]);
});

test("S2 messages at or before the cursor are dropped", async () => {
  const opened = open({ after: 5n });
  expect(await readAll(opened, at(4n), at(5n), at(6n), at(6n), at(9n))).toEqual([6n, 9n]);
  await breaks(opened);
  expect(opened.requests().at(-1)).toEqual({ after: 9n });
});

test.each(["string", "bytes"] as const)("S2 opaque positions are compared for equality alone: %s", async (type) => {
  const make = (name: string) => (type === "bytes" ? new TextEncoder().encode(name) : name);
  const opened = open({ after: make("m") }, { type });
  const read = await readAll(opened, ...["m", "z", "a"].map((name) => at(make(name))));
  expect(read).toEqual(["z", "a"].map(make));
});

test("S2 a limit in the request shrinks by what was delivered; nothing left to read ends the stream without a call", async () => {
  const opened = open({ after: 5n, limit: 3 });
  await readAll(opened, at(6n));
  const second = read(opened.stream);
  await breaks(opened);
  expect(opened.requests()[1]).toEqual({ after: 6n, limit: 2 });
  newest(opened.attempts).message(at(7n));
  await second;
  await readAll(opened, at(8n));
  const end = read(opened.stream);
  await breaks(opened, aCut(), 10_000);
  expect(await end).toBe(DONE);
  expect([opened.attempts.streams.length, opened.left()]).toEqual([2, NOTHING_LEFT]);
});

describe("S3 a cursor that the server no longer has", () => {
  test("S3 is an explicit CURSOR_EXPIRED with the last cursor", async () => {
    const opened = open({ after: 5n });
    await readAll(opened, at(6n));
    const next = read(opened.stream);
    await breaks(opened, expired());
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_EXPIRED", code: Status.OUT_OF_RANGE, cursor: 6n });
  });

  test("S3 or a fresh request from onExpired", async () => {
    const opened = open({ after: 5n }, {}, { options: { onExpired: () => ({ after: 90n }) } });
    void read(opened.stream);
    await breaks(opened, expired(), 0);
    expect(opened.requests()).toEqual([{ after: 5n }, { after: 90n }]);
  });
});

describe("S4", () => {
  test("S4 backoff starts anew with the first message", async () => {
    const opened = open({ after: 5n });
    const next = read(opened.stream);
    await breaks(opened, aCut(), 50);
    await breaks(opened, aCut(), 99);
    expect(opened.attempts.streams).toHaveLength(2);
    await opened.clock.advance(1);
    newest(opened.attempts).message(at(6n));
    await next;
    void read(opened.stream);
    await breaks(opened, aCut(), 50);
    expect(opened.attempts.streams).toHaveLength(4);
  });

  test.each([
    [{}, 10],
    [{ maxFailures: 2 }, 2],
  ])("S4 consecutive failures are capped: with %o after %i", async (policy, most) => {
    const opened = open({ after: 5n }, policy);
    const next = read(opened.stream);
    for (let n = 0; n < most; n += 1) await breaks(opened, aFailure(), 1_000);
    expect(opened.attempts.streams).toHaveLength(most + 1);
    await breaks(opened, aFailure(), 0);
    expect(await rejection(next)).toMatchObject({ retryStop: "MAX_ATTEMPTS", attempts: most + 1 });
  });

  test("S4 reopening waits for the retry budget and is never failed by it", async () => {
    const opened = open({ after: 5n }, { retryBudget: { minInFlight: 1, windowMs: 1e9 } });
    const permit = opened.share.budget.tryAcquire();
    void read(opened.stream);
    await breaks(opened, aCut(), 3_600_000);
    expect(opened.attempts.streams).toHaveLength(1);
    permit?.release();
    await opened.clock.advance(100);
    expect(opened.attempts.streams).toHaveLength(2);
  });

  test("S4 reopening waits for the breaker's next trial and is never failed by it", async () => {
    const opened = open({ after: 5n }, { maxFailures: 1 });
    const next = read(opened.stream);
    await breaks(opened, aCut(), 50);
    await breaks(opened, breakerOpen(30), 30);
    for (let n = 0; n < 20; n += 1) await breaks(opened, breakerOpen(30), 750);
    newest(opened.attempts).message(at(6n));
    expect(await next).toEqual({ done: false, value: at(6n) });
  });

  test("S4 a drain is followed at once and is no failure", async () => {
    const opened = open({ after: 5n }, { maxFailures: 1 });
    void read(opened.stream);
    await breaks(opened, aDrain(), 0);
    expect(opened.attempts.streams).toHaveLength(2);
  });
});

describe("R5 the call's deadline", () => {
  const deadline = { deadline: 1_000 };

  test("R5 spans all attempts and waits: one that does not fit is not begun", async () => {
    const opened = open({ after: 5n }, {}, { deadline: 50 });
    const next = read(opened.stream);
    await breaks(opened, aCut(), 0);
    expect(await rejection(next)).toMatchObject({ reason: "DEADLINE_BEFORE_RETRY", code: Status.UNAVAILABLE });
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });

  test("R5 ends a wait for the budget", async () => {
    const opened = open({ after: 5n }, { retryBudget: { minInFlight: 1, windowMs: 1e9 } }, deadline);
    opened.share.budget.tryAcquire();
    const next = read(opened.stream);
    await breaks(opened, aCut(), 1_000);
    expect(await rejection(next)).toMatchObject({ reason: "DEADLINE_BEFORE_RETRY" });
  });

  test("R5 ends a wait for the next request after positions that are gone", async () => {
    const onExpired = () => ({ after: 90n });
    const policy = { initialBackoffMs: 30_000, maxBackoffMs: 30_000 };
    const opened = open({ after: 5n }, policy, { ...deadline, options: { onExpired } });
    const next = read(opened.stream);
    await breaks(opened, expired(), 0);
    await breaks(opened, expired(), 1_000);
    expect(await rejection(next)).toMatchObject({ reason: "DEADLINE_BEFORE_RETRY", code: Status.OUT_OF_RANGE });
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });
});

describe("R8 after a cancel", () => {
  test("R8 a waiting backoff ends at once, and no further attempt is begun", async () => {
    const opened = open({ after: 5n });
    const next = read(opened.stream);
    await breaks(opened, aCut(), 20);
    opened.controller.abort("gone");
    expect(await rejection(next)).toBe("gone");
    await opened.clock.advance(60_000);
    expect([opened.attempts.streams.length, opened.left()]).toEqual([1, NOTHING_LEFT]);
  });
});

describe("S5 a stream opened without a cursor", () => {
  test("S5 that was pinned by its first header is reopened from there", async () => {
    const opened = open({});
    void read(opened.stream);
    newest(opened.attempts).headers(pinnedAt(41n));
    await breaks(opened);
    expect(opened.requests()).toEqual([{}, { after: 41n }]);
  });

  test("S5 that broke before header and first message ends with CURSOR_UNKNOWN", async () => {
    const opened = open({});
    const next = read(opened.stream);
    await breaks(opened);
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_UNKNOWN" });
  });

  test("S5 unless the method allows it", async () => {
    const opened = open({}, { fromStart: true });
    void read(opened.stream);
    await breaks(opened);
    expect(opened.requests()).toEqual([{}, {}]);
  });

  test.each<[string, () => unknown]>([
    ["trailers-only answers", () => aFailure()],
    ["failed connects", unsent],
  ])("S5 is retried after %s", async (_, error) => {
    const opened = open({});
    void read(opened.stream);
    await breaks(opened, error());
    expect(opened.requests()).toEqual([{}, {}]);
  });
});

describe("S6", () => {
  test("S6 three missed heartbeats end the attempt, and it is resumed", async () => {
    const opened = open({ after: 5n });
    void read(opened.stream);
    // The interval in which it was asked for, and three more.
    await opened.clock.advance(39);
    expect(newest(opened.attempts).left).toBe(0);
    await opened.clock.advance(1);
    expect(newest(opened.attempts).left).toBe(1);
    await opened.clock.advance(50);
    expect(opened.attempts.streams).toHaveLength(2);
  });

  test("S6 a slow consumer is no stall", async () => {
    const opened = open({ after: 5n });
    await readAll(opened, at(6n));
    await opened.stream.return();
    const idle = open({ after: 5n });
    const first = read(idle.stream);
    newest(idle.attempts).message(at(6n));
    await first;
    await idle.clock.advance(3_600_000);
    expect([idle.attempts.streams.length, newest(idle.attempts).left]).toEqual([1, 0]);
  });
});

test("S7 nothing is asked for before a reader asks: a slow one bounds the server", async () => {
  const opened = open({ after: 5n });
  const attempt = () => newest(opened.attempts);
  const first = read(opened.stream);
  for (let position = 6n; position < 1_000n; position += 1n) attempt().message(at(position));
  await first;
  await opened.clock.advance(10_000);
  expect(attempt().asked).toBe(1);
  attempt().message(marker(1_000n));
  await read(opened.stream);
  await opened.clock.advance(10_000);
  expect(attempt().asked).toBe(2);
});

describe("B7 the breaker's permit of a stream", () => {
  /** Streams through one breaker. */
  function guarded() {
    const { layer, breaker } = breaking();
    const method = aMethod("server-stream");
    const begin = () => {
      const attempts = new ScriptedStreams();
      const stream = layer.stream(attempts.handler, method)(aCall({ method }));
      const next = read(stream);
      return { stream, next, attempt: newest(attempts) };
    };
    const counts = () => {
      const { calls, failures } = breaker.snapshot();
      return { calls, failures };
    };
    return { begin, counts };
  }

  test.each([at(1n), marker(0n)])("B7 is settled by the first message or heartbeat: success (%o)", async (message) => {
    const { begin, counts } = guarded();
    const { attempt, next } = begin();
    attempt.message(message);
    await next;
    expect(counts()).toEqual({ calls: 1, failures: 0 });
    attempt.fail(aCut());
    expect(counts()).toEqual({ calls: 1, failures: 0 });
  });

  test("B7 by an error before it: failure", async () => {
    const { begin, counts } = guarded();
    const { attempt, next } = begin();
    attempt.fail(aCut());
    await rejection(next);
    expect(counts()).toEqual({ calls: 1, failures: 1 });
  });

  test("B7 by a cancellation: nothing", async () => {
    const { begin, counts } = guarded();
    const { stream, next } = begin();
    await stream.return();
    await next;
    expect(counts()).toEqual({ calls: 0, failures: 0 });
  });
});
