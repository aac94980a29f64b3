import type { Attempt, Call } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { NiceStream } from "./nice-stream.ts";
import { NiceWire } from "./nice-wire.ts";

/**
 * Attempts over the rest of a nice-grpc middleware chain. What `call.next` cannot do: a deadline inside grpc-js (ours
 * is the `grpc-timeout` header and a timer), and waiting for a connection.
 */
export function niceAttempt(clock: Clock): Attempt {
  return { unary: (call) => unary(call, clock), stream: (call) => new NiceStream(call, clock) };
}

async function unary(call: Call, clock: Clock) {
  const wire = new NiceWire(call, clock);
  try {
    const result = await wire.begin().next();
    return wire.reply(result.value);
  } catch (error) {
    throw wire.toError(error);
  } finally {
    wire.end();
  }
}
