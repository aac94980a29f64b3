import { type CursorAccess, EMPTY_CURSORS, type HeartbeatAccess } from "../../contract/cursor.ts";
import type { HeartbeatPolicy, ResumePolicy } from "../../contract/policy.ts";
import { resolveResume, resolveStall } from "../../contract/resolve.ts";
import type { Codec } from "../../core/method.ts";
import type { ClientState } from "../client-state.ts";
import { resumeLayer } from "../layers/resume.ts";
import { stallLayer } from "../layers/stall.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";

/** What the streams of one method say about themselves. */
export interface StreamPolicy {
  /** How they are resumed, if they are. */
  readonly resume?: Omit<ResumePolicy, "requestField" | "cursorField"> | undefined;
  /** Where their positions stand; without it they are not resumed. */
  readonly access?: CursorAccess | undefined;
  /** What an empty request has as its position. Default: that of the position's type. */
  readonly emptyCursor?: (() => unknown) | undefined;
  /** As the codec of their requests has it. */
  readonly complete?: Codec["complete"] | undefined;
  /** How often they give a sign of life, if they do. */
  readonly heartbeat?: Omit<HeartbeatPolicy, "field"> | undefined;
  /** Where that sign stands; without it they are not watched. */
  readonly marked?: HeartbeatAccess | undefined;
}

/** The layers that keep a server-stream alive: resume, and stall. */
export function streamLayers(
  { resume, access, emptyCursor, complete, heartbeat, marked }: StreamPolicy,
  state: ClientState,
): Layers {
  const { clock, random, observer, target } = state.surroundings;
  const { retryShare: share, closed } = state;
  const resumes = resume && access;
  const fields = [resumes?.progressField, marked?.field].filter((field) => field !== undefined);
  const isMarker = (message: unknown) => fields.some((field) => Reflect.get(message as object, field) === true);
  return {
    ...(resumes && {
      resume: resumeLayer({
        ...{ options: resolveResume(resume), access, isMarker, complete },
        // An `optional` field of an empty request has nothing.
        emptyCursor: () => emptyCursor?.() ?? EMPTY_CURSORS[access.type],
        ...{ share, clock, random, closed, report: reportTo(observer, "resume", target) },
      }),
    }),
    ...(heartbeat &&
      marked && {
        stall: stallLayer({
          // A heartbeat may tell a position: what resumes must see it.
          ...{ options: resolveStall(heartbeat), isHidden: resumes ? undefined : isMarker },
          ...{ clock, report: reportTo(observer, "stall", target) },
        }),
      }),
  };
}
