import { isCount } from "../core/check-options.ts";
import { bufferFull } from "./buffer-full.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions } from "./operator-stream.ts";
import { until } from "./passage.ts";

/**
 * All messages of a stream, as an array, if there are no more than `limit`. If there are more, or the source fails, or
 * the signal aborts, nothing is kept and the source is left.
 *
 * @throws RpcError with reason `BUFFER_FULL` if there are more; what the source throws; the signal's reason; TypeError
 *   that lists every argument that does not fit. It always rejects, and never throws at once.
 */
export async function collect<Message>(
  source: AsyncIterable<Message>,
  limit: number,
  options: OperatorOptions = {},
): Promise<Message[]> {
  checkArguments("collect", { source: [source, isSource], limit: [limit, isCount] }, options, EVERY);
  const messages: Message[] = [];
  for await (const message of until(source, options.signal)) {
    if (messages.length >= limit) throw bufferFull(`more than the ${limit} messages came that collect may keep`);
    messages.push(message);
  }
  return messages;
}
