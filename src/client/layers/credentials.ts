import type { Layer } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { Status } from "../../core/status.ts";
import { credentialsOf } from "../credentials/call-credentials.ts";
import type { CallCredentials, Sent } from "../credentials/credentials.ts";
import { allowedAttempt, type CredentialsContext, CredentialWait } from "./credential-wait.ts";
import { QueuedStream } from "./queued-stream.ts";

/** Sends with each attempt what allows its call, as it is at that moment. */
export function credentialsLayer(context: CredentialsContext): Layer {
  return {
    unary: (next) => async (call) => {
      const allowed = credentialsOf(call);
      if (!allowed) return next(call);
      const { sent } = await new CredentialWait(allowed, call, context).permit;
      try {
        return await next(allowedAttempt(call, sent, context));
      } catch (error) {
        noteRejection(allowed, sent, error);
        throw error;
      }
    },
    stream: (next) => (call) => {
      const allowed = credentialsOf(call);
      if (!allowed) return next(call);
      const open = ({ sent }: { readonly sent: Sent }) => {
        const stream = next(allowedAttempt(call, sent, context));
        stream.watch({ onEnd: ({ error }) => noteRejection(allowed, sent, error) });
        return stream;
      };
      return new QueuedStream(new CredentialWait(allowed, call, context), open, call);
    },
  };
}

/** Only what a server says of them: our own refusals have not seen them. */
function noteRejection(allowed: CallCredentials, sent: Sent, error: unknown): void {
  if (!(error instanceof RpcError) || error.code !== Status.UNAUTHENTICATED || error.origin !== "wire") return;
  allowed.rejected?.(sent);
}
