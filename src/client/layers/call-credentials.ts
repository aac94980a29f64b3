import type { Layer } from "../../core/call.ts";
import { withCredentials } from "../credentials/call-credentials.ts";
import type { Credentials } from "../credentials/credentials.ts";

/**
 * Finds out what allows a call, and for whom it is made, before anything of it is shared with others. What may not be
 * sent fails here, as calls do.
 *
 * @param partition whom the client calls for, unless the call says it.
 */
export function callCredentialsLayer(credentials: Credentials, partition: string | undefined): Layer {
  return {
    unary: (next) => (call) => next(withCredentials(call, credentials, partition)),
    stream: (next) => (call) => next(withCredentials(call, credentials, partition)),
  };
}
