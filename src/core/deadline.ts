/**
 * A deadline is an instant on the clock's monotonic scale, in milliseconds; `NO_DEADLINE` never comes. Only what
 * leaves the process is turned into wall time or a duration.
 */
export const NO_DEADLINE: number = Number.POSITIVE_INFINITY;

/**
 * What a call made while serving another one leaves of that one's time for the answer's way back, in milliseconds
 * (rule D1).
 */
export const DEADLINE_RESERVE_MS = 5;

/**
 * The longest timeout that grpc-js servers read without overflowing: they keep 2,147,483,647 ms at most, and what is
 * this long goes over the wire in whole seconds.
 */
const LONGEST_TIMEOUT_MS = 2_147_483_000;

const MOST = 99_999_999;

/**
 * The `grpc-timeout` header for what remains: at most eight digits and a unit, rounded up
 * (gRPC over HTTP/2, rule D1). Milliseconds as long as they fit into eight digits, then seconds.
 *
 * @returns undefined when the header is to be left out: no deadline, or one further away than grpc-js servers can
 *   read.
 */
export function toGrpcTimeout(remainingMs: number): string | undefined {
  if (!(remainingMs <= LONGEST_TIMEOUT_MS)) return undefined;
  const milliseconds = Math.max(1, Math.ceil(remainingMs));
  return milliseconds <= MOST ? `${milliseconds}m` : `${Math.ceil(milliseconds / 1000)}S`;
}
