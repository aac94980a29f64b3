import type { CursorType } from "../core/cursor.ts";

export type { CursorType } from "../core/cursor.ts";

/** What a message says that says no position, where nothing tells more of the field than its type. */
export const EMPTY_CURSORS: Readonly<Record<CursorType, unknown>> = {
  ...{ int64: 0n, uint64: 0n },
  ...{ string: "", bytes: new Uint8Array() },
};

/** How to read a stream's position from its responses, and to write it into the request that continues there. */
export interface CursorAccess<Request = unknown, Response = unknown, Value = unknown> {
  readonly type: CursorType;
  /** The fields' names in the generated messages. */
  readonly requestField: string;
  readonly cursorField: string;
  /** Of the response: true in one that only moves the position on. */
  readonly progressField?: string;
  /** Of the request: how many responses at most. */
  readonly limitField?: string;
  read(response: Response): Value | undefined;
  write(request: Request, cursor: Value): Request;
}

/** Where the heartbeats of a stream are marked. */
export interface HeartbeatAccess {
  /** The field's name in the generated response: true in a heartbeat. */
  readonly field: string;
}
