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

const UNITS = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 } as const;

/**
 * Reads a `grpc-timeout` header: one to eight digits and a unit, with nothing before, between and after them (gRPC over
 * HTTP/2).
 *
 * @returns milliseconds; undefined for anything else.
 */
export function parseGrpcTimeout(header: string): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit as keyof typeof UNITS];
}
