const UNITS = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 } as const;

/**
 * Reads a `grpc-timeout` header as the specification has it: at most eight digits and a unit.
 *
 * @returns milliseconds, or undefined for what the specification does not allow.
 */
export function parseGrpcTimeout(header: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  return match ? Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] : undefined;
}
