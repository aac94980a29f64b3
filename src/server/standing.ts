import type { ServedContext } from "../core/served-call.ts";
import { tell } from "../core/warning.ts";

/** In a header that nothing else is written into: nice-grpc's server sends none that is empty. */
const STANDING_HEADER = "bowline-standing";

/**
 * Sends the header of a stream that may stand, before the server ends it by itself. An answer without headers says that
 * the handler never began (gRFC A6), and a client that began *now* would begin anew, without what came meanwhile
 * (rule S5). Without effect once the header is out, and for methods that do not resume: these stay retryable.
 */
export function tellStanding(context: ServedContext): void {
  if (!context.standing) return;
  tell("the header of a stream that ends cannot be sent", () => {
    context.header.set(STANDING_HEADER, "1");
    context.sendHeader();
  });
}
