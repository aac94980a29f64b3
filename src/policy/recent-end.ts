import { type Clock, RECENT_MS } from "../core/clock.ts";

/** A clock that may know an instant of late at less cost than now. */
export type RecentClock = Pick<Clock, "now" | "recent">;

/**
 * When something ended that has just ended: to the millisecond only where that decides on whether it took longer than
 * its limit.
 */
export function recentEnd(clock: RecentClock, since: number, limitMs: number): number {
  const recent = clock.recent?.();
  const suffices = recent !== undefined && recent - since <= limitMs - 2 * RECENT_MS;
  return suffices ? recent : clock.now();
}
