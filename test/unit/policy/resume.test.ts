import { describe, expect, test } from "vitest";
import type { ResumePolicy } from "../../../src/contract/policy.ts";
import { resolveResume } from "../../../src/contract/resolve.ts";
import type { Cursor } from "../../../src/core/cursor.ts";
import { Status } from "../../../src/core/status.ts";
import {
  type BrokenStream,
  Resume,
  type ResumeDecision,
  type ResumeStart,
  type ResumeStop,
} from "../../../src/policy/resume.ts";
import { FOREVER_MS, MIDDLE } from "../../support/machines.ts";

const NOWHERE: ResumeStart = { cursor: undefined, ordered: true, limit: Number.POSITIVE_INFINITY };

/** A stream whose waits are 50, 100, 200 … ms. */
function resume(policy: Partial<ResumePolicy> = {}, start: Partial<ResumeStart> = {}): Resume {
  const options = resolveResume({ initialBackoffMs: 100, maxBackoffMs: 1_000, ...policy });
  return new Resume(options, { ...NOWHERE, ...start }, MIDDLE);
}

/** A stream that has its position. */
const placed = (policy: Partial<ResumePolicy> = {}, start: Partial<ResumeStart> = {}) =>
  resume(policy, { cursor: 5n, ...start });

/** A connection that broke after the request had left. */
function broken(changes: Partial<BrokenStream> = {}): BrokenStream {
  const plain = { unopened: false, final: false, drained: false, pushbackMs: undefined, rejected: undefined };
  return { code: Status.UNAVAILABLE, ...plain, ...changes };
}

const reopen = (delayMs: number, because: "drain" | "backoff" | "pushback" | "rejection"): ResumeDecision => ({
  ...{ action: "reopen", delayMs, because },
});
const fail = (stop: ResumeStop): ResumeDecision => ({ action: "fail", stop });

/** What is decided each time, if it breaks so often in a row. */
function breaks(machine: Resume, times: number, how = broken()): ResumeDecision[] {
  return Array.from({ length: times }, () => machine.broke(how, FOREVER_MS));
}

describe("messages of an ordered stream", () => {
  test.each<[string, (at: number) => Cursor]>([
    ["bigint", BigInt],
    ["number", Number],
    ["decimal string", String],
    ["Long", (at) => ({ toString: () => String(at) })],
  ])("at or before the position are dropped, whenever they come: %s", (_, make) => {
    const machine = resume({}, { cursor: make(9) });
    const verdicts = [8, 9, 10, 10, 9, 12, 11, 100].map((at) => machine.message(make(at), false));
    const [drop, give] = ["duplicate", "deliver"];
    expect(verdicts).toEqual([drop, drop, give, drop, drop, give, drop, give]);
    expect(String(machine.cursor)).toBe("100");
  });

  test("without a position are delivered, and leave the position where it was", () => {
    const machine = placed();
    expect(machine.message(undefined, false)).toBe("deliver");
    expect(machine.cursor).toBe(5n);
  });
});

describe.each<[string, (name: string) => Cursor]>([
  ["text", (name) => name],
  ["bytes", (name) => new TextEncoder().encode(name)],
])("messages of an opaque stream: %s", (_, make) => {
  const opaque = (cursor?: string) => resume({}, { cursor: cursor && make(cursor), ordered: false });
  const verdicts = (machine: Resume, names: string[]) => names.map((name) => machine.message(make(name), false));

  test("have no order; only the very last position is known again, and only when the stream was opened", () => {
    const machine = opaque("m");
    expect(verdicts(machine, ["m", "m", "a", "m", "m"])).toEqual([
      ...["duplicate", "duplicate", "deliver"],
      ...["deliver", "deliver"],
    ]);
    machine.broke(broken(), FOREVER_MS);
    expect(verdicts(machine, ["m", "b", "m"])).toEqual(["duplicate", "deliver", "deliver"]);
  });

  test("a heartbeat, or a marker of the same position, before the message that is sent again does not hide that", () => {
    const machine = opaque("m");
    expect(machine.message(undefined, true)).toBe("marker");
    expect(machine.message(make("m"), true)).toBe("marker");
    expect(verdicts(machine, ["m", "n"])).toEqual(["duplicate", "deliver"]);
  });

  test("a marker moves the position on", () => {
    const machine = opaque("m");
    expect(machine.message(make("n"), true)).toBe("marker");
    expect(machine.cursor).toEqual(make("n"));
    machine.broke(broken(), FOREVER_MS);
    expect(verdicts(machine, ["n", "o"])).toEqual(["duplicate", "deliver"]);
  });
});

describe("a marker", () => {
  test("moves the position on, never back, and is no message of the limit's", () => {
    const machine = placed({}, { limit: 2 });
    expect([machine.message(9n, true), machine.cursor]).toEqual(["marker", 9n]);
    expect([machine.message(7n, true), machine.cursor]).toEqual(["marker", 9n]);
    expect(machine.message(8n, false)).toBe("duplicate");
    expect(machine.remaining).toBe(2);
  });
});

describe("a pin", () => {
  test("is the position until there is another", () => {
    const machine = resume();
    machine.pinned(3n);
    expect(machine.cursor).toBe(3n);
    machine.pinned(9n);
    expect(machine.cursor).toBe(3n);
    expect(machine.message(3n, false)).toBe("duplicate");
    expect(machine.message(4n, false)).toBe("deliver");
  });

  test("has no say where the request has a position", () => {
    const machine = placed();
    machine.pinned(9n);
    expect(machine.cursor).toBe(5n);
  });

  test("lets a stream be reopened that has given nothing else", () => {
    const machine = resume();
    machine.pinned(3n);
    expect(machine.broke(broken(), FOREVER_MS)).toEqual(reopen(50, "backoff"));
  });
});

describe("failures in a row", () => {
  test.each([1, 2, 10])("maxFailures %i: so many are waited out, one more is too many", (maxFailures) => {
    const decisions = breaks(placed({ maxFailures }), maxFailures + 1);
    expect(decisions.slice(0, -1).map(({ action }) => action)).toEqual(
      Array.from({ length: maxFailures }, () => "reopen"),
    );
    expect(decisions.at(-1)).toEqual(fail("MAX_FAILURES"));
  });

  test("wait longer each time, and begin anew with a message", () => {
    const machine = placed();
    expect(breaks(machine, 3)).toEqual([50, 100, 200].map((ms) => reopen(ms, "backoff")));
    machine.message(6n, false);
    expect(breaks(machine, 2)).toEqual([50, 100].map((ms) => reopen(ms, "backoff")));
  });

  test("do not begin anew with a message that is dropped, nor with headers", () => {
    const machine = placed({ maxFailures: 2 });
    breaks(machine, 2);
    machine.pinned(9n);
    expect(machine.message(5n, false)).toBe("duplicate");
    expect(machine.failures).toBe(2);
    expect(machine.broke(broken(), FOREVER_MS)).toEqual(fail("MAX_FAILURES"));
  });

  test("are told by a pushback when to end, which begins the backoff anew, and counts", () => {
    const machine = placed({ maxFailures: 4 });
    breaks(machine, 2);
    expect(machine.broke(broken({ pushbackMs: 7 }), FOREVER_MS)).toEqual(reopen(7, "pushback"));
    expect(machine.failures).toBe(3);
    expect(breaks(machine, 2)).toEqual([reopen(50, "backoff"), fail("MAX_FAILURES")]);
  });

  test.each([0, 1])("a pushback of %i is no reason to stop, one of -1 is", (pushbackMs) => {
    expect(placed().broke(broken({ pushbackMs }), FOREVER_MS)).toEqual(reopen(pushbackMs, "pushback"));
    expect(placed().broke(broken({ pushbackMs: -1 }), FOREVER_MS)).toEqual(fail("PUSHBACK"));
  });
});

describe("a drain", () => {
  const drained = broken({ drained: true });

  test("is followed at once and is no failure; the next one in a row is", () => {
    const machine = placed({ maxFailures: 2 });
    expect(breaks(machine, 1, drained)).toEqual([reopen(0, "drain")]);
    expect(machine.failures).toBe(0);
    expect(breaks(machine, 3, drained)).toEqual([
      ...[reopen(50, "backoff"), reopen(100, "backoff")],
      fail("MAX_FAILURES"),
    ]);
  });

  test("after a message is the first in a row", () => {
    const machine = placed();
    breaks(machine, 2, drained);
    machine.message(6n, false);
    expect(breaks(machine, 2, drained)).toEqual([reopen(0, "drain"), reopen(50, "backoff")]);
  });

  test("is followed whatever the policy's codes, but not against the server's word", () => {
    expect(placed({ codes: ["ABORTED"] }).broke(drained, FOREVER_MS)).toEqual(reopen(0, "drain"));
    expect(placed().broke({ ...drained, pushbackMs: -1 }, FOREVER_MS)).toEqual(fail("PUSHBACK"));
    expect(placed().broke({ ...drained, pushbackMs: 70 }, FOREVER_MS)).toEqual(reopen(0, "drain"));
  });
});

describe("the client's own rejection", () => {
  test.each<[number | undefined, number]>([
    [30, 30],
    [0, 0],
    [60_000, 60_000],
    [undefined, 750],
  ])(
    "for another %s ms: waits %i ms, and from then on asks again soon, as often as it takes",
    (retryAfterMs, delayMs) => {
      const machine = placed({ maxFailures: 1 });
      const rejected = broken({ rejected: { retryAfterMs } });
      const soon = Array.from({ length: 49 }, () => reopen(750, "rejection"));
      expect(breaks(machine, 50, rejected)).toEqual([reopen(delayMs, "rejection"), ...soon]);
      expect(machine.failures).toBe(0);
      machine.message(6n, false);
      expect(machine.broke(rejected, FOREVER_MS)).toEqual(reopen(delayMs, "rejection"));
    },
  );

  test("keeps a stream waiting that has no position, and whatever the policy's codes", () => {
    const rejected = broken({ rejected: { retryAfterMs: 30 } });
    expect(resume({ codes: ["ABORTED"] }).broke(rejected, FOREVER_MS)).toEqual(reopen(30, "rejection"));
  });
});

describe("a stream without a position (rule S5)", () => {
  test("is reopened only if nothing can have been missed", () => {
    expect(resume().broke(broken({ unopened: true }), FOREVER_MS)).toEqual(reopen(50, "backoff"));
    expect(resume().broke(broken({ unopened: false }), FOREVER_MS)).toEqual(fail("CURSOR_UNKNOWN"));
  });

  test("is reopened however it broke, if it begins at the start", () => {
    expect(resume({ fromStart: true }).broke(broken(), FOREVER_MS)).toEqual(reopen(50, "backoff"));
  });

  test("has a position from its first message on, but for one that says none", () => {
    const machine = resume();
    machine.message(undefined, false);
    expect(machine.broke(broken(), FOREVER_MS)).toEqual(fail("CURSOR_UNKNOWN"));
    machine.message(1n, false);
    expect(machine.broke(broken(), FOREVER_MS)).toEqual(reopen(50, "backoff"));
  });
});

describe("OUT_OF_RANGE (rule S3)", () => {
  const gone = broken({ code: Status.OUT_OF_RANGE });

  test("with a position: it has expired; without one, the status is like any other", () => {
    expect(placed().broke(gone, FOREVER_MS)).toEqual(fail("CURSOR_EXPIRED"));
    expect(resume().broke({ ...gone, unopened: true }, FOREVER_MS)).toEqual(fail("NOT_RESUMABLE"));
  });

  test("is told as that also where it is one failure too many; but then nobody is asked again", () => {
    const machine = placed({ maxFailures: 2 });
    breaks(machine, 2);
    expect(machine.exhausted).toBe(false);
    expect(machine.broke(gone, FOREVER_MS)).toEqual(fail("CURSOR_EXPIRED"));
    expect(machine.exhausted).toBe(true);
  });

  test("a restart begins where the new request says, with a limit of its own, and is no message", () => {
    const machine = placed({}, { limit: 3 });
    machine.message(6n, false);
    machine.broke(gone, FOREVER_MS);
    machine.restart({ cursor: 2n, limit: 9 });
    expect([machine.cursor, machine.remaining, machine.failures]).toEqual([2n, 9, 1]);
    expect(machine.message(3n, false)).toBe("deliver");
    machine.restart({ cursor: undefined, limit: Number.POSITIVE_INFINITY });
    expect(machine.message(1n, false)).toBe("deliver");
  });
});

describe("failures begin to count anew", () => {
  test.each<[string, Cursor | undefined, boolean, number, number]>([
    ["with a message", 6n, false, 0, 1],
    ["with a message that has no position", undefined, false, 0, 1],
    ["with a marker of a new position", 6n, true, 0, 1],
    ["not with a heartbeat before it has stood for the longest backoff", undefined, true, 999, 3],
    ["not with a marker of an old position before that", 5n, true, 999, 3],
    ["with a heartbeat after that", undefined, true, 1_000, 1],
  ])("%s", (_, cursor, marker, standingMs, failures) => {
    const machine = placed({ maxFailures: 2 });
    breaks(machine, 2);
    machine.message(cursor, marker, standingMs);
    const decisions = [reopen(50, "backoff"), reopen(100, "backoff"), fail("MAX_FAILURES")];
    expect(breaks(machine, 4 - failures)).toEqual(decisions.slice(failures - 1));
  });
});

test("a restart waits from the second one in a row on, until a message came", () => {
  const machine = placed();
  const gone = broken({ code: Status.OUT_OF_RANGE });
  const start = { cursor: 2n, limit: Number.POSITIVE_INFINITY };
  const restarted = () => {
    machine.broke(gone, FOREVER_MS);
    return machine.restart(start);
  };
  expect([restarted(), restarted(), restarted()]).toEqual([0, 50, 100]);
  machine.message(3n, false);
  expect(restarted()).toBe(0);
});

describe("a limit", () => {
  test("is kept where the server does not: a message beyond it is surplus, a marker is none", () => {
    const machine = placed({}, { limit: 1 });
    expect(machine.message(6n, false)).toBe("deliver");
    expect(machine.message(7n, true)).toBe("marker");
    expect(machine.message(8n, false)).toBe("surplus");
    expect([machine.remaining, machine.cursor]).toEqual([0, 7n]);
  });

  test("shrinks by what was delivered; with nothing left, whatever broke is the end", () => {
    const machine = placed({}, { limit: 2 });
    machine.message(6n, false);
    machine.message(6n, false);
    expect(machine.remaining).toBe(1);
    expect(machine.broke(broken(), FOREVER_MS)).toEqual(reopen(50, "backoff"));
    machine.message(7n, false);
    expect(machine.remaining).toBe(0);
    for (const how of [{}, { final: true }, { code: Status.OUT_OF_RANGE }, { pushbackMs: -1 }]) {
      expect(machine.broke(broken(how), 0)).toEqual({ action: "end" });
    }
  });
});

describe("the deadline (rule R5)", () => {
  test("a wait that ends 1 ms before it is begun; one that ends at it is not", () => {
    expect(placed().broke(broken(), 51)).toEqual(reopen(50, "backoff"));
    expect(placed().broke(broken(), 50)).toEqual(fail("DEADLINE"));
    expect(placed().broke(broken({ rejected: { retryAfterMs: 30 } }), 30)).toEqual(fail("DEADLINE"));
    expect(placed().broke(broken({ drained: true }), 1)).toEqual(reopen(0, "drain"));
    expect(placed().broke(broken({ drained: true }), 0)).toEqual(fail("DEADLINE"));
  });
});

describe("of several reasons not to reopen", () => {
  const everything: BrokenStream = {
    ...{ code: Status.NOT_FOUND, unopened: false, final: true, drained: false, pushbackMs: -1 },
    rejected: undefined,
  };

  test.each<[string, Partial<BrokenStream>, boolean, ResumeStop]>([
    ["what opening again would meet again comes first", { code: Status.OUT_OF_RANGE }, true, "NOT_RESUMABLE"],
    ["then an expired position", { final: false, code: Status.OUT_OF_RANGE }, true, "CURSOR_EXPIRED"],
    ["then a status that is not resumed", { final: false }, true, "NOT_RESUMABLE"],
    ["then an unknown position", { final: false, code: Status.UNAVAILABLE }, false, "CURSOR_UNKNOWN"],
    ["then the server's word", { final: false, code: Status.UNAVAILABLE }, true, "PUSHBACK"],
  ])("%s", (_, changes, hasPosition, stop) => {
    const machine = hasPosition ? placed() : resume();
    expect(machine.broke({ ...everything, ...changes }, 0)).toEqual(fail(stop));
  });

  test("too many failures come before the deadline", () => {
    const machine = placed({ maxFailures: 1 });
    breaks(machine, 1);
    expect(machine.broke(broken(), 0)).toEqual(fail("MAX_FAILURES"));
  });

  test.each([
    ...["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "CANCELLED"],
    ...["UNKNOWN", "NOT_FOUND", "UNAUTHENTICATED", "UNIMPLEMENTED", "DATA_LOSS"],
  ] as const)("without codes of its own, a policy resumes after some: %s", (name) => {
    const resumed = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "CANCELLED"];
    const { action } = placed().broke(broken({ code: Status[name] }), FOREVER_MS);
    expect(action).toBe(resumed.includes(name) ? "reopen" : "fail");
  });
});
