import type { TimedOperatorOptions } from "./batch.ts";
import { type BufferedStream, buffer } from "./buffer.ts";
import { checkArguments, isSource, TIMED } from "./check-arguments.ts";

/**
 * The newest message that nobody has read; older ones are dropped. The last one is always handed out. For a reader that
 * wants the state of things and not their history; `buffer` with `latest-by-key` is it for many things at once.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function latest<Message>(
  source: AsyncIterable<Message>,
  options: TimedOperatorOptions = {},
): BufferedStream<Message> {
  checkArguments("latest", { source: [source, isSource] }, options, TIMED);
  const { signal, clock } = options;
  return buffer(source, { maxMessages: 1, overflow: "drop-oldest", signal, clock });
}
