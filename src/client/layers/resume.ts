import type { CursorAccess } from "../../contract/cursor.ts";
import type { Layer } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { Codec } from "../../core/method.ts";
import type { Random } from "../../core/random.ts";
import type { ResumeOptions } from "../../policy/resume.ts";
import type { RetryShare } from "../../policy/retry.ts";
import type { Report } from "../report.ts";
import { Reopenings } from "./reopenings.ts";
import { ResumeStream } from "./resume-stream.ts";

/** What the streams of a method are resumed with. */
export interface ResumeContext {
  readonly options: ResumeOptions;
  readonly access: CursorAccess;
  /** Whether a message is no more than a sign of life or of progress, and is not handed out. */
  readonly isMarker: (message: unknown) => boolean;
  /** A value of the type that the position has in a request. */
  readonly emptyCursor: () => unknown;
  /** As a request's codec has it; without it nobody knows which fields requests have. */
  readonly complete?: Codec["complete"];
  /** Of the target: reopening draws on its budget. */
  readonly share: RetryShare;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report | undefined;
  /** Aborts when the client is closed; undefined if it cannot be. */
  readonly closed: AbortSignal | undefined;
}

/** Reopens a server-stream that broke after the last message delivered (rules S1 to S5). */
export function resumeLayer(context: ResumeContext): Layer {
  return {
    unary: (next) => next,
    stream: (next) => (call) => new ResumeStream(new Reopenings(context, call), next),
  };
}
