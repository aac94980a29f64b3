import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Case, Direction, Transport } from "./cases.ts";

/** A case that cannot pass, for a reason outside of Bowline. */
export interface KnownFailure {
  readonly case: Case;
  readonly direction: Direction;
  readonly transports: readonly Transport[];
  /** Why it cannot. */
  readonly reason: string;
  /** What the failure says, as a regular expression. Absent: the case cannot even be executed here. */
  readonly symptom?: string;
}

/** A program of grpc-go's that cannot speak one of the transports. */
export interface UnableProgram {
  readonly program: string;
  readonly direction: Direction;
  readonly transport: Transport;
  /** What runs grpc-go's cases or service instead. */
  readonly instead: string;
  readonly reason: string;
  readonly symptom: string;
}

/** All that is not as the suite wants it. The lists may only become shorter. */
export const KNOWN: { readonly programs: readonly UnableProgram[]; readonly cases: readonly KnownFailure[] } =
  JSON.parse(readFileSync(new URL("known-failures.json", import.meta.url), "utf8"));

/** Why a case is not expected to pass; undefined if it is. */
export function knownFailure(name: Case, direction: Direction, transport: Transport): KnownFailure | undefined {
  return KNOWN.cases.find(
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
  const { reason, symptom } = known;
  if (symptom !== undefined) test(`${name} fails: ${reason}`, () => expectFailure(execute(), symptom));
}

/** Defines the test of a program that cannot speak a transport: it is asked to, and must fail as it is known to. */
export function testUnable(direction: Direction, execute: (transport: Transport) => Promise<void>): void {
  for (const { program, transport, reason, symptom } of KNOWN.programs.filter((one) => one.direction === direction)) {
    test(`${program} fails over ${transport}: ${reason}`, () => expectFailure(execute(transport), symptom));
  }
}

async function expectFailure(execution: Promise<void>, symptom: string): Promise<void> {
  const outcome = await execution.then(
    () => "it passes: take it off known-failures.json",
    (error: unknown) => String(error),
  );
  expect(outcome).toMatch(new RegExp(symptom));
}
