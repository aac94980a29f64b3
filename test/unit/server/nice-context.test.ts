import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { NiceContext } from "../../../src/server/nice-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aMethod } from "../../support/scripted.ts";

/** The context of a call that came with metadata, a minute after the clock began. */
async function contextOf(metadata: Record<string, string>) {
  const clock = fakeClock({ wallTime: 1_000_000 });
  await clock.advance(60_000);
  const received = {
    ...{ metadata: new Metadata(metadata), peer: "10.0.0.7:1", header: new Metadata(), trailer: new Metadata() },
    ...{ sendHeader: () => {}, signal: new AbortController().signal },
  };
  const context = new NiceContext(aMethod(), () => expect.unreachable(), received, clock);
  return { context, received };
}

test("a deadline that the interceptor tells is one, and no metadata", async () => {
  const { context, received } = await contextOf({ "bowline-deadline": "1060500" });
  expect([context.remainingMs(), context.deadlineAt, context.deadline]).toEqual([500, 60_500, new Date(1_060_500)]);
  expect([...received.metadata]).toEqual([]);
});

test.each(["abc", "", "NaN", "Infinity", "1e300", "-1e300"])("%j is no deadline, whoever sent it", async (sent) => {
  const { context } = await contextOf({ "bowline-deadline": sent });
  expect([context.remainingMs(), context.deadlineAt, context.deadline]).toEqual([Infinity, Infinity, undefined]);
});

test("a ticket that nobody gave out stands for no certificate", async () => {
  const { context, received } = await contextOf({ "bowline-certificate": "0.10.2" });
  expect(context.certificate).toBeUndefined();
  expect([...received.metadata]).toEqual([]);
});
