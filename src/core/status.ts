/** gRPC's status codes by name, with the numbers that go over the wire. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A status's name, such as `"UNAVAILABLE"`. */
export type StatusName = keyof typeof Status;

/** A status's number, such as 14. */
export type StatusCode = (typeof Status)[StatusName];

const names = Object.keys(Status) as StatusName[];

/** The name of a code; `"UNKNOWN"` for a number that gRPC does not define, as its specification asks. */
export function statusName(code: number): StatusName {
  return names[code] ?? "UNKNOWN";
}

/** The code as one that gRPC defines; a number that it does not define becomes UNKNOWN. */
export function toStatusCode(code: number): StatusCode {
  return Status[statusName(code)];
}

/**
 * Reads a status as policies name it: a name in any case or an integer (gRFC A6).
 *
 * @returns undefined if gRPC has no such status.
 */
export function parseStatusName(text: string | number): StatusName | undefined {
  const name = String(text).trim().toUpperCase();
  return /^\d{1,2}$/.test(name) ? names[Number(name)] : names.find((known) => known === name);
}
