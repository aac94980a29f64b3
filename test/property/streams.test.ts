import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { streamMethod } from "../../src/client/invoke.ts";
import { deadlineLayer } from "../../src/client/layers/deadline.ts";
import { composeStream } from "../../src/client/pipeline.ts";
import type { StreamHandler } from "../../src/core/call.ts";
import { type CallContext, runInCall } from "../../src/core/call-context.ts";
import type { MessageStream } from "../../src/core/message-stream.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { channelAttempt } from "../../src/transport/index.ts";
import { aMethod } from "../support/scripted.ts";
import { ScriptedChannel } from "../support/scripted-channel.ts";

const method = aMethod("server-stream");

/** A stream over the pipeline, both its ends in the test's hands. */
function setUp() {
  const scripted = new ScriptedChannel();
  const clock = fakeClock();
  const [caller, parent] = [new AbortController(), new AbortController()];
  const context = { deadlineAt: 500, signal: parent.signal } as CallContext;
  const attempt = channelAttempt(scripted.channel, clock);
  const opened: MessageStream[] = [];
  const ends: string[] = [];
  const open: StreamHandler = (call) => {
    const stream = attempt.stream(call);
    stream.watch({ onEnd: ({ outcome }) => ends.push(outcome) });
    opened.push(stream);
    return stream;
  };
  const layers = { deadline: deadlineLayer({ said: undefined, otherwise: 1_000 }, clock) };
  const call = streamMethod(method, composeStream(layers, { ...attempt, stream: open }, method));
  const stream = call("request", { signal: caller.signal });
  const reads: Promise<IteratorResult<unknown, undefined>>[] = [];
  const sent: number[] = [];
  const wire = () => scripted.calls[0];
  const actions = {
    read: () => {
      const read = runInCall(context, () => stream.next());
      read.catch(() => {});
      reads.push(read);
    },
    leave: () => void stream.return(),
    headers: () => wire()?.header(),
    message: () => wire()?.message(sent.push(sent.length) - 1),
    ok: () => wire()?.status(0),
    fail: () => wire()?.status(14),
    garbage: () => wire()?.bytes("{"),
    abort: () => caller.abort("caller"),
    abortParent: () => parent.abort("parent"),
    turn: () => setImmediate(),
  };
  const listeners = () => [caller, parent].map(({ signal }) => getEventListeners(signal, "abort").length);
  return { stream, opened, ends, reads, sent, actions, listeners };
}

test("a stream ends once, delivers in order, settles every next() and leaves no listener, whatever happens when", async () => {
  const names = Object.keys(setUp().actions) as (keyof ReturnType<typeof setUp>["actions"])[];
  const action = fc.oneof(fc.constantFrom(...names), fc.constantFrom("read" as const, "message" as const));
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 14 }), async (script) => {
      const { stream, opened, ends, reads, sent, actions, listeners } = setUp();
      for (const name of script) await actions[name]();
      await stream.return();
      const settled = await Promise.allSettled(reads);

      const values = settled.flatMap((read) =>
        read.status === "fulfilled" && !read.value.done ? [read.value.value] : [],
      );
      expect(values).toEqual(sent.slice(0, values.length));
      const kinds = settled.map((read) => (read.status === "rejected" ? "failed" : read.value.done ? "done" : "value"));
      expect(kinds.join(" ")).toMatch(/^(value ?)*(failed ?)?(done ?)*$/);
      expect(ends.length).toBe(opened.length);
      expect(opened.length).toBeLessThanOrEqual(1);
      expect(listeners()).toEqual([0, 0]);
      expect(await stream.next()).toEqual({ done: true, value: undefined });
    }),
    { numRuns: 300 },
  );
});
