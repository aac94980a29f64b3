import type { Attempt, Call } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { withoutStack } from "../core/without-stack.ts";
import { NiceStream } from "./nice-stream.ts";
import { type NiceCarrier, NiceWire } from "./nice-wire.ts";

/**
 * Attempts over the rest of a nice-grpc middleware chain. What `call.next` cannot do: a deadline inside grpc-js (ours
 * is the `grpc-timeout` header and a timer), and waiting for a connection.
 *
 * @param watchHeaders whether it must be known for sure that headers came before a unary call failed. Otherwise that is
 *   told from how it failed, which spares nice-grpc the conversion of headers that nobody reads.
 * @param maxMetadataBytes the most metadata of a request, in bytes as HTTP/2 counts them. Default: 56 KiB.
 */
export function niceAttempt(clock: Clock, watchHeaders = false, maxMetadataBytes?: number): Attempt {
  return {
    unary: (call) => unary(call, new NiceWire(call, clock, maxMetadataBytes), watchHeaders),
    stream: (call) => new NiceStream(call, clock, maxMetadataBytes),
  };
}

async function unary(call: Call, wire: NiceWire, watchHeaders: boolean) {
  try {
    const messages = wire.begin(watchHeaders || call.options.onHeader ? ignore : undefined);
    // grpc-js takes a stack trace for each unary call, in case it fails: a tenth of what the call costs. Where nothing
    // but nice-grpc and grpc-js runs until the call is sent, there is nobody whose trace it could be.
    const result = await (isInnermost(call) ? withoutStack(() => messages.next()) : messages.next());
    return wire.reply(result.value);
  } catch (error) {
    throw wire.toError(error);
  } finally {
    wire.end();
  }
}

/** The reply has the headers; here is only said that they are wanted. */
function ignore(): void {}

/** Whether nothing is left between this attempt and grpc-js: nice-grpc's own function, and no middleware of others. */
function isInnermost({ carrier }: Call): boolean {
  return (carrier as NiceCarrier).next.name === "unaryMethod";
}
