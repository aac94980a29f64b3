import { getEventListeners } from "node:events";
import { expect } from "vitest";
import type { Call, Layer } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { MessageStream } from "../../src/core/message-stream.ts";
import type { FakeClock } from "../../src/testing/index.ts";
import { aCall, aMethod, aReply, type ScriptedStream, ScriptedStreams, ScriptedUnary } from "./scripted.ts";

/** A call through a layer, its attempts in the test's hands. A unary call and a stream look alike. */
export interface Driven {
  /** What each attempt was given, oldest first. */
  readonly calls: readonly Call[];
  /** The reply's message, or a stream's first one; rejects with what the call ends with. */
  readonly outcome: Promise<unknown>;
  /** The newest attempt is answered, and that is all. */
  reply(message: unknown): void;
  /** The newest attempt fails. */
  fail(error: unknown): void;
  /** The newest attempt ends as its signal, which has aborted, says. */
  abort(reason: unknown): void;
}

/** Makes a call through a layer. */
export type Drive = (layer: Layer, changes?: Partial<Call>) => Driven;

function driveUnary(layer: Layer, changes: Partial<Call> = {}): Driven {
  const attempts = new ScriptedUnary();
  const call = aCall(changes);
  const outcome = layer
    .unary(
      attempts.handler,
      call.method,
    )(call)
    .then(({ message }) => message);
  outcome.catch(() => {});
  return {
    calls: attempts.calls,
    outcome,
    reply: (message) => attempts.reply(aReply(message)),
    fail: (error) => attempts.fail(error),
    abort: (reason) => attempts.fail(reason),
  };
}

function driveStream(layer: Layer, changes: Partial<Call> = {}): Driven {
  const { attempts, stream } = openStream(layer, changes);
  const outcome = stream.next().then(({ value }) => value);
  outcome.catch(() => {});
  return {
    calls: attempts.calls,
    outcome,
    reply(message) {
      newest(attempts).message(message);
      newest(attempts).succeed();
    },
    fail: (error) => newest(attempts).fail(error),
    abort: (reason) => newest(attempts).abort(reason),
  };
}

/** The two forms of a layer. */
export const forms: readonly (readonly [string, Drive])[] = [
  ["unary", driveUnary],
  ["server-stream", driveStream],
];

/** A stream through a layer, the attempts below it, and what its watchers were told. */
export function openStream(
  layer: Layer,
  changes: Partial<Call> = {},
): { attempts: ScriptedStreams; stream: MessageStream; told: string[] } {
  const attempts = new ScriptedStreams();
  const method = aMethod("server-stream");
  const stream = layer.stream(attempts.handler, method)(aCall({ method, ...changes }));
  return { attempts, stream, told: tellingOf(stream) };
}

/** The attempt that was made last. */
export function newest({ streams }: ScriptedStreams): ScriptedStream {
  return streams.at(-1) ?? expect.unreachable("no attempt was made");
}

/** What a stream's watchers are told, as it happens. */
export function tellingOf(stream: MessageStream): string[] {
  const told: string[] = [];
  stream.watch({
    onHeaders: (header) => told.push(`headers ${header.get("h") ?? ""}`.trim()),
    onFirstMessage: () => told.push("first message"),
    onEnd: ({ outcome, error }) => told.push(error ? `${outcome} ${error.reason}` : outcome),
  });
  return told;
}

/** A layer whose calls begin when they come to it. */
export function startingNow(layer: Layer, clock: Clock): Layer {
  return {
    unary: (next, method) => {
      const handler = layer.unary(next, method);
      return (call) => handler({ ...call, startedAt: clock.now() });
    },
    stream: (next, method) => {
      const handler = layer.stream(next, method);
      return (call) => handler({ ...call, startedAt: clock.now() });
    },
  };
}

/** A clock after whose timers something happens in the same turn. */
export function afterTimers(clock: FakeClock, then: () => void): Clock {
  const fireThen = (fire: () => void) => () => {
    fire();
    then();
  };
  return {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    setTimer: (delayMs, fire) => clock.setTimer(delayMs, fireThen(fire)),
  };
}

/** How many listeners wait for a signal to abort. */
export function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}
