import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Case, Direction, Transport } from "./cases.ts";

/** A case that cannot pass, for a reason outside of Bowline. The list of them may only become shorter. */
export interface KnownFailure {
  readonly case: Case;
  readonly direction: Direction;
  readonly transports: readonly Transport[];
  /** Why it cannot. */
  readonly reason: string;
  /** What the failure says, as a regular expression. Absent: the case cannot even be executed here. */
  readonly symptom?: string;
}

/** All of them. */
export const KNOWN_FAILURES: readonly KnownFailure[] = JSON.parse(
  readFileSync(new URL("known-failures.json", import.meta.url), "utf8"),
);

/** Why a case is not expected to pass; undefined if it is. */
export function knownFailure(name: Case, direction: Direction, transport: Transport): KnownFailure | undefined {
  return KNOWN_FAILURES.find(
    (known) => known.case === name && known.direction === direction && known.transports.includes(transport),
  );
}

/**
 * Defines the test of a case. One that is known to fail is executed too: it must fail as it is known to, so that the
 * day on which it passes takes it off the list.
 */
export function testCase(name: Case, direction: Direction, transport: Transport, execute: () => Promise<void>): void {
  const known = knownFailure(name, direction, transport);
  if (!known) return test(name, execute);
  const { symptom } = known;
  if (symptom === undefined) return;
  test(`${name} fails: ${known.reason}`, async () => {
    const outcome = await execute().then(
      () => `${name} passes: take it off known-failures.json`,
      (error: unknown) => String(error),
    );
    expect(outcome).toMatch(new RegExp(symptom));
  });
}
