import { ClientError } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { RpcError } from "../../../src/core/errors.ts";
import { DONE } from "../../../src/core/message-stream.ts";
import type { Reason } from "../../../src/core/reasons.ts";
import { Status, type StatusCode } from "../../../src/core/status.ts";
import { breaking } from "../../support/breaking.ts";
import { type Drive, forms, newest, openStream } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";

type Breaking = ReturnType<typeof breaking>;

/** Makes calls that fail, until the breaker is open. */
async function open({ layer, breaker }: Breaking, drive: Drive): Promise<void> {
  for (const driven of [drive(layer), drive(layer)]) {
    driven.fail(aFailure());
    await rejection(driven.outcome);
  }
  expect(breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 1_000 });
}

/** Opens the breaker and waits until its trial is due. */
async function toTrial(set: Breaking, drive: Drive): Promise<void> {
  await open(set, drive);
  await set.clock.advance(1_000);
}

const settled = { trials: 0 };

describe.each(forms)("%s", (form, drive) => {
  test("an answer counts as a call, and nothing else", async () => {
    const { layer, breaker } = breaking();
    const driven = drive(layer);
    driven.reply("order");
    expect(await driven.outcome).toBe("order");
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0, slow: 0 });
  });

  test.each<[string, unknown, object]>([
    ["UNAVAILABLE", aFailure(), { calls: 1, failures: 1 }],
    ["DEADLINE_EXCEEDED", aFailure({ code: Status.DEADLINE_EXCEEDED }), { calls: 1, failures: 1 }],
    ["RESOURCE_EXHAUSTED", aFailure({ code: Status.RESOURCE_EXHAUSTED }), { calls: 1, failures: 1 }],
    ["INTERNAL", aFailure({ code: Status.INTERNAL }), { calls: 1, failures: 1 }],
    ["UNKNOWN", aFailure({ code: Status.UNKNOWN }), { calls: 1, failures: 1 }],
    ["the transport's own", aFailure({ reason: "TRANSPORT" }), { calls: 1, failures: 1 }],
    ["an attempt that took too long", aFailure({ reason: "ATTEMPT_TIMEOUT", code: 4 }), { calls: 1, failures: 1 }],
    ["nice-grpc's", new ClientError("/p", Status.UNAVAILABLE, "down"), { calls: 1, failures: 1 }],
    ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND }), { calls: 1, failures: 0 }],
    ["a server's CANCELLED", aFailure({ code: Status.CANCELLED }), { calls: 1, failures: 0 }],
    ["a program's own mistake", new TypeError("no such property"), { calls: 0 }],
    ["an abort from elsewhere", new DOMException("stop", "AbortError"), { calls: 0 }],
    ...(
      [
        ...(["CLIENT_CLOSED", "REQUEST_NOT_ENCODABLE", "MESSAGE_TOO_LARGE", "DEADLINE_BEFORE_SEND"] as const),
        ...(["BULKHEAD_FULL", "LIMIT_REACHED", "CLIENT_THROTTLED"] as const),
      ] as const
    ).map((reason): [string, RpcError, object] => [
      reason,
      new RpcError({ path: "/p", reason, details: "ours" }),
      { calls: 0 },
    ]),
  ])(
    "a failure is handed on as it is, and counted by what it says about the target: %s",
    async (_, failure, counts) => {
      const { layer, breaker } = breaking();
      const driven = drive(layer);
      driven.fail(failure);
      expect(await rejection(driven.outcome)).toBe(failure);
      expect(breaker.snapshot()).toMatchObject(counts);
    },
  );

  test("the policy's own codes are what counts", async () => {
    const { layer, breaker } = breaking({ codes: ["NOT_FOUND"], minimumCalls: 20 });
    const codes: StatusCode[] = [Status.NOT_FOUND, Status.UNAVAILABLE, Status.ABORTED];
    for (const code of codes) {
      const driven = drive(layer);
      driven.fail(aFailure({ code }));
      await rejection(driven.outcome);
    }
    expect(breaker.snapshot()).toMatchObject({ calls: 3, failures: 1 });
  });

  test("a caller that leaves because its time is over counts as a failure, as a deadline does", async () => {
    const { layer, breaker } = breaking({ minimumCalls: 20 });
    const controller = new AbortController();
    const driven = drive(layer, { signal: controller.signal });
    const reason = new DOMException("the time is over", "TimeoutError");
    controller.abort(reason);
    driven.abort(reason);
    expect(await rejection(driven.outcome)).toBe(reason);
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 1 });
  });

  describe("while the process stands still", () => {
    test("nothing becomes slow", async () => {
      const { layer, clock, breaker, stalls } = breaking({ slowMs: 100, minimumCalls: 20 });
      const driven = [drive(layer), drive(layer)];
      await clock.advance(150);
      stalls.ms += 50;
      driven[0]?.reply("order");
      await driven[0]?.outcome;
      await clock.advance(1);
      driven[1]?.reply("order");
      await driven[1]?.outcome;
      expect(breaker.snapshot()).toMatchObject({ calls: 2, slow: 1 });
    });

    const outOfTime: [string, (driven: ReturnType<Drive>, controller: AbortController) => void][] = [
      [
        "a deadline",
        (driven) => driven.fail(aFailure({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" })),
      ],
      [
        "a caller's time limit",
        (driven, controller) => {
          controller.abort(new DOMException("the time is over", "TimeoutError"));
          driven.abort(controller.signal.reason);
        },
      ],
    ];

    describe.each(outOfTime)("%s that passes", (_, end) => {
      test.each([
        ["is a failure of the target's up to half of the time", 100, 300, 150, 1],
        ["and after that is none", 100, 300, 151, 0],
        ["is none if the target had less time than is slow", 200, 300, 101, 0],
        ["is one if it had as much", 200, 300, 100, 1],
        ["is one if the rest was after the deadline", 200, 400, 150, 1],
      ])("%s: slow %d ms, took %d, stood still %d", async (_, slowMs, tookMs, stalledMs, failures) => {
        const { layer, clock, breaker, stalls } = breaking({ slowMs, minimumCalls: 20 });
        const controller = new AbortController();
        const driven = drive(layer, { deadline: 300, signal: controller.signal });
        await clock.advance(tookMs);
        stalls.ms += stalledMs;
        end(driven, controller);
        await rejection(driven.outcome);
        expect(breaker.snapshot()).toMatchObject({ calls: failures, failures });
      });
    });
  });

  test.each([
    [99, 0],
    [100, 1],
  ])("a deadline of %d ms where 100 are slow counts as %d failures", async (deadline, failures) => {
    const { layer, breaker } = breaking({ slowMs: 100, minimumCalls: 20 });
    const driven = drive(layer, { deadline });
    driven.fail(aFailure({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" }));
    await rejection(driven.outcome);
    expect(breaker.snapshot()).toMatchObject({ calls: failures, failures });
  });

  test("a deadline that passes after the headers came is no failure: the target answered", async () => {
    const { layer, breaker } = breaking({ minimumCalls: 20 });
    const driven = drive(layer, { deadline: 300 });
    const late = { code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED", headersReceived: true } as const;
    driven.fail(aFailure(late));
    await rejection(driven.outcome);
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0 });
  });

  test("a server that leaves in good order counts as nothing", async () => {
    const { layer, breaker } = breaking();
    const driven = drive(layer);
    driven.fail(aFailure({ reason: "DRAINING" }));
    await rejection(driven.outcome);
    expect(breaker.snapshot()).toMatchObject({ calls: 0 });
  });

  test.each<[string, unknown]>([
    ["its reason", "gone"],
    ["what would be a failure of the target's", aFailure()],
  ])("B3 a caller that leaves with %s counts as nothing", async (_, reason) => {
    const { layer, breaker } = breaking();
    const controller = new AbortController();
    const driven = drive(layer, { signal: controller.signal });
    controller.abort(reason);
    driven.abort(reason);
    expect(await rejection(driven.outcome)).toBe(reason);
    expect(breaker.snapshot()).toMatchObject({ calls: 0 });
  });

  test("while it is open nothing is attempted, and the error says when the next trial is due", async () => {
    const set = breaking();
    await open(set, drive);
    await set.clock.advance(999.5);
    const driven = drive(set.layer, { id: 7 });
    const error = await rejection(driven.outcome);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "BREAKER_OPEN", origin: "local", attempts: 0, retryAfterMs: 0.5 },
      details: "the circuit breaker is open: no attempt was sent; the next trial is due in 1 ms",
      path: `/test.Service/${form}`,
    });
    expect(driven.calls).toEqual([]);
    expect(set.events.at(-1)).toMatchObject({ id: 7, method: `/test.Service/${form}` });
    expect(toldOf(set.events).at(-1)).toEqual(["breaker", "rejected", { state: "open", retryAfterMs: 0.5 }]);
  });

  test("B4 one trial goes through when it is due, and what comes meanwhile is rejected", async () => {
    const set = breaking();
    await toTrial(set, drive);
    const trial = drive(set.layer);
    const other = drive(set.layer);
    expect(await rejection(other.outcome)).toMatchObject({
      details: "the circuit breaker is half-open: no attempt was sent; its trials are under way",
      retryAfterMs: 5_000,
    });
    expect([trial.calls.length, other.calls.length]).toEqual([1, 0]);
    trial.reply("order");
    expect(await trial.outcome).toBe("order");
    expect(set.breaker.snapshot().state).toBe("closed");
  });

  test("a trial that fails opens it again, for longer", async () => {
    const set = breaking();
    await toTrial(set, drive);
    const trial = drive(set.layer);
    trial.fail(aFailure());
    await rejection(trial.outcome);
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 2_000, ...settled });
  });

  test.each<[string, (trial: ReturnType<Drive>, controller: AbortController) => void]>([
    [
      "whose caller leaves",
      (trial, controller) => {
        controller.abort("gone");
        trial.abort("gone");
      },
    ],
    ["that never was sent", (trial) => trial.fail(ours("REQUEST_NOT_ENCODABLE"))],
    ["that a program's mistake ended", (trial) => trial.fail(new TypeError("no such property"))],
  ])("B3 a trial %s gives its place back", async (_, end) => {
    const set = breaking();
    await toTrial(set, drive);
    const controller = new AbortController();
    const trial = drive(set.layer, { signal: controller.signal });
    end(trial, controller);
    await rejection(trial.outcome);
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, ...settled });
    const next = drive(set.layer);
    next.reply("order");
    await next.outcome;
    expect(set.breaker.snapshot().state).toBe("closed");
  });

  test("B6 what comes from before it opened is dropped", async () => {
    const set = breaking();
    const late = drive(set.layer);
    await toTrial(set, drive);
    const trial = drive(set.layer);
    late.reply("late");
    expect(await late.outcome).toBe("late");
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", trials: 1, calls: 0 });
    trial.fail(aFailure());
    await rejection(trial.outcome);
    expect(set.breaker.snapshot().state).toBe("open");
  });

  test.each([
    [100, 0],
    [100.5, 1],
  ])("B5 an answer after %d ms where 100 is the limit: %i slow", async (takesMs, slow) => {
    const { layer, clock, breaker } = breaking({ slowMs: 100 });
    const driven = drive(layer);
    await clock.advance(takesMs);
    driven.reply("order");
    await driven.outcome;
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0, slow });
  });

  test.each<["forceOpen" | "forceClosed" | "disable", object]>([
    ["forceOpen", { reason: "BREAKER_OPEN", attempts: 0, retryStop: undefined }],
    ["forceClosed", { reason: "STATUS" }],
    ["disable", { reason: "STATUS" }],
  ])("after %s", async (how, expected) => {
    const { layer, breaker } = breaking();
    breaker[how]();
    const driven = drive(layer);
    driven.calls.map(() => driven.fail(aFailure()));
    const error = await rejection(driven.outcome);
    expect({ retryStop: undefined, ...(error as object) }).toMatchObject(expected);
  });

  test("forced open it says that somebody has to reset it", async () => {
    const { layer, breaker, events } = breaking();
    breaker.forceOpen();
    const error = await rejection(drive(layer).outcome);
    const details = "the circuit breaker is forced-open: no attempt was sent; it stays so until it is reset";
    expect(error).toMatchObject({ details });
    expect((error as RpcError).retryAfterMs).toBeUndefined();
    expect(toldOf(events).at(-1)).toEqual(["breaker", "rejected", { state: "forced-open" }]);
  });

  test("the observer is told of each change of state, and of each call that is rejected", async () => {
    const set = breaking();
    const name = "/test.Service/unary";
    await open(set, drive);
    await rejection(drive(set.layer).outcome);
    await set.clock.advance(1_000);
    const trial = drive(set.layer);
    trial.reply("order");
    await trial.outcome;
    expect(toldOf(set.events)).toEqual([
      ["breaker", "opened", { name, from: "closed", calls: 2, failures: 2, slow: 0, openMs: 1_000 }],
      ["breaker", "rejected", { state: "open", retryAfterMs: 1_000 }],
      ["breaker", "half-opened", { name, from: "open", calls: 2, failures: 2, slow: 0 }],
      ["breaker", "closed", { name, from: "half-open", calls: 1, failures: 0, slow: 0 }],
    ]);
  });
});

function ours(reason: Reason): RpcError {
  return new RpcError({ path: "/p", reason, details: "ours" });
}

describe("B7 on a stream", () => {
  const start = (policy = {}) => {
    const set = breaking(policy);
    return { ...set, ...openStream(set.layer) };
  };

  test("the first message settles the permit, and what comes then counts as nothing", async () => {
    const { attempts, stream, breaker, told } = start();
    const first = stream.next();
    newest(attempts).message("a");
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0 });
    await first;
    newest(attempts).fail(aFailure());
    expect(await rejection(stream.next())).toMatchObject({ reason: "STATUS" });
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0 });
    expect(told).toEqual(["first message", "error STATUS"]);
  });

  test("headers alone settle nothing: an error before the first message is a failure", async () => {
    const { attempts, stream, breaker } = start();
    const first = rejection(stream.next());
    newest(attempts).headers({ get: () => "1" } as never);
    expect(breaker.snapshot().calls).toBe(0);
    newest(attempts).fail(aFailure());
    await first;
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 1 });
  });

  test.each([
    ["INTERNAL", { code: Status.INTERNAL }, 0],
    ["UNAVAILABLE", { code: Status.UNAVAILABLE }, 1],
  ])("a stream that fails to open again and again with %s counts so", async (_, failure, failures) => {
    const { layer, breaker } = breaking();
    const { attempts, stream } = openStream(layer, { isFailing: true });
    const first = rejection(stream.next());
    newest(attempts).fail(aFailure(failure));
    await first;
    expect(breaker.snapshot()).toMatchObject({ calls: failures, failures });
  });

  test("a trial that such a stream fails gives its place back, and another one decides", async () => {
    const { layer, breaker, clock } = breaking();
    for (let failed = 0; failed < 2; failed += 1) {
      const { attempts, stream } = openStream(layer);
      const next = rejection(stream.next());
      newest(attempts).fail(aFailure());
      await next;
    }
    await clock.advance(1_000);
    const failing = openStream(layer, { isFailing: true });
    const next = rejection(failing.stream.next());
    newest(failing.attempts).fail(aFailure({ code: Status.INTERNAL }));
    await next;
    expect(breaker.snapshot()).toMatchObject({ state: "half-open" });
    const other = openStream(layer);
    void other.stream.next();
    newest(other.attempts).message("a");
    expect(breaker.snapshot()).toMatchObject({ state: "closed" });
  });

  test("an end without messages is a success", async () => {
    const { attempts, stream, breaker } = start();
    const first = stream.next();
    newest(attempts).succeed();
    expect(await first).toBe(DONE);
    expect(breaker.snapshot()).toMatchObject({ calls: 1, failures: 0 });
  });

  test("a reader that leaves counts as nothing, before it asks and while it waits", async () => {
    const { layer, breaker, stream } = start();
    expect(await stream.return()).toBe(DONE);
    const waiting = openStream(layer).stream;
    const first = waiting.next();
    await waiting.return();
    await first;
    expect(breaker.snapshot()).toMatchObject({ calls: 0 });
  });

  test("slow is the time to the first message, not to the end", async () => {
    const { attempts, stream, breaker, clock } = start({ slowMs: 100 });
    const first = stream.next();
    await clock.advance(100);
    newest(attempts).message("a");
    await first;
    await clock.advance(5_000);
    newest(attempts).succeed();
    await stream.next();
    expect(breaker.snapshot()).toMatchObject({ calls: 1, slow: 0 });
  });

  test("B4 a trial that is silent for too long gives its place back, and counts as nothing", async () => {
    const set = start({ trialTimeoutMs: 500 });
    await toTrial(set, (layer) => forms[0]?.[1](layer) ?? expect.unreachable());
    const quiet = openStream(set.layer);
    const waiting = quiet.stream.next();
    await set.clock.advance(499);
    expect(await rejection(openStream(set.layer).stream.next())).toMatchObject({ retryAfterMs: 1 });
    await set.clock.advance(1);
    const next = openStream(set.layer);
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 1 });
    newest(quiet.attempts).message("late");
    await waiting;
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 1 });
    void next.stream.next();
    newest(next.attempts).message("a");
    expect(set.breaker.snapshot().state).toBe("closed");
  });

  test("while it is open a stream fails once, and then is done; its watchers are told once", async () => {
    const set = breaking();
    set.breaker.forceOpen();
    const { attempts, stream, told } = openStream(set.layer);
    expect(await rejection(stream.next())).toMatchObject({ reason: "BREAKER_OPEN", attempts: 0 });
    expect(await stream.next()).toBe(DONE);
    expect(await stream.return()).toBe(DONE);
    expect([attempts.streams.length, told]).toEqual([0, ["error BREAKER_OPEN"]]);
  });
});

test.each([
  ["when the next call asks", 0, 500],
  ["after twice its time in a process that lags all the time", 60_000, 1_000],
])("B4 a unary trial that hangs is given up as a failure, %s", async (_, stalledMs, afterMs) => {
  const set = breaking({ trialTimeoutMs: 500 });
  const drive: Drive = forms[0]?.[1] ?? expect.unreachable();
  await toTrial(set, drive);
  const hanging = drive(set.layer);
  set.stalls.ms += stalledMs;
  await set.clock.advance(afterMs - 1);
  expect(await rejection(drive(set.layer).outcome)).toMatchObject({ reason: "BREAKER_OPEN", retryAfterMs: 1 });
  await set.clock.advance(1);
  expect(await rejection(drive(set.layer).outcome)).toMatchObject({ reason: "BREAKER_OPEN", retryAfterMs: 2_000 });
  expect(toldOf(set.events).at(-2)).toMatchObject(["breaker", "opened", { from: "half-open", openMs: 2_000 }]);
  hanging.reply("late");
  expect(await hanging.outcome).toBe("late");
  expect(set.breaker.snapshot()).toMatchObject({ state: "open", ...settled });
});
