import { fail } from "../../core/errors.ts";
import { DONE, leave } from "../../core/message-stream.ts";
import { cutText } from "../../core/sent-text.ts";
import type { FieldViolation } from "../../core/status-detail.ts";
import { withoutStack } from "../../core/without-stack.ts";
import type { RequestCheck } from "./request-checks.ts";

/** How many violations the text names, and how much of each on the wire; the details have the others too. */
const MOST_NAMED = 5;
const MOST_NAMED_BYTES = 300;

/** More than this never fit the trailer, and a request may have a hundred thousand. */
const MOST_VIOLATIONS = 256;

/**
 * Refuses a request that does not keep to its constraints, and says all that is wrong with it.
 *
 * @throws RpcError INVALID_ARGUMENT with a `google.rpc.BadRequest`; whatever the evaluation throws.
 */
export function checkRequest(request: unknown, check: RequestCheck): void {
  const violations = check(request);
  if (violations.length === 0) return;
  const fieldViolations = violations.slice(0, MOST_VIOLATIONS);
  withoutStack(() =>
    fail("INVALID_ARGUMENT", textOf(violations), {
      statusDetails: [{ $type: "google.rpc.BadRequest", fieldViolations }],
    }),
  );
}

/**
 * Requests as they come, each once it was accepted. What `accept` throws at one is thrown where that is read, and ends
 * them.
 */
export function checkedRequests(
  requests: AsyncIterable<unknown>,
  accept: (request: unknown) => void,
): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => new CheckedRequests(requests[Symbol.asyncIterator](), accept) };
}

class CheckedRequests implements AsyncIterator<unknown> {
  readonly #requests: AsyncIterator<unknown>;
  readonly #accept: (request: unknown) => void;
  #over = false;

  constructor(requests: AsyncIterator<unknown>, accept: (request: unknown) => void) {
    this.#requests = requests;
    this.#accept = accept;
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#over) return DONE;
    const result = await this.#requests.next();
    // Refused or left in the meantime.
    if (this.#over) return DONE;
    if (result.done) return result;
    try {
      this.#accept(result.value);
      return result;
    } catch (error) {
      // The refusal counts, whatever comes of letting go.
      this.return().catch(() => {});
      throw error;
    }
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#over = true;
    return leave(this.#requests);
  }
}

function textOf(violations: readonly FieldViolation[]): string {
  const named = violations.slice(0, MOST_NAMED).map(({ field, description }) => {
    return cutText(`${field} ${description}`.trim(), MOST_NAMED_BYTES);
  });
  const more = violations.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
