import type { CallOptions } from "../../core/call-options.ts";
import { show } from "../../core/check-options.ts";
import type { Cursor } from "../../core/cursor.ts";
import type { Codec } from "../../core/method.ts";
import type { ResumeStart } from "../../policy/resume.ts";
import type { ResumeContext } from "./resume.ts";

/** What ts-proto puts beside the fields of a message, which no request says. */
const NO_FIELDS: ReadonlySet<string> = new Set(["$type", "_unknownFields"]);

/**
 * What the application answers to a position that is gone; undefined if it has no answer.
 *
 * @param within waits for the answer, as long as the call lasts: then `onExpired` need not go on looking for one.
 */
export async function answerOf(
  options: CallOptions<object, unknown>,
  cursor: Cursor,
  within: (answer: Promise<object | undefined>) => Promise<object | undefined>,
): Promise<object | undefined> {
  const leaving = new AbortController();
  const ask = async () => options.onExpired?.(cursor, { signal: leaving.signal });
  try {
    return await within(ask());
  } finally {
    leaving.abort();
  }
}

/**
 * Makes sure that an answer says where to go on: one that begins anywhere else loses messages without a word (rule S3),
 * or has all of them again.
 *
 * @param start where the answer would have the stream begin.
 * @throws TypeError that lists everything that is wrong with it.
 */
export function checkAnswer(
  answer: unknown,
  start: Pick<ResumeStart, "cursor">,
  path: string,
  context: Pick<ResumeContext, "access" | "options" | "complete">,
): void {
  const problems = isRecord(answer) ? problemsOf(answer, start, context) : [noRequest(answer)];
  if (problems.length > 0) throw new TypeError(`${path}: onExpired's answer is refused: ${problems.join("; ")}`);
}

function isRecord(answer: unknown): answer is object {
  return typeof answer === "object" && answer !== null && !Array.isArray(answer);
}

function noRequest(answer: unknown): string {
  const is = Array.isArray(answer) ? "an array" : show(answer);
  return `it must be a request, or undefined to end the call; it is ${is}`;
}

function problemsOf(
  answer: object,
  { cursor }: Pick<ResumeStart, "cursor">,
  { access, options, complete }: Pick<ResumeContext, "access" | "options" | "complete">,
): string[] {
  const problems = unknownFields(answer, complete);
  const { requestField } = access;
  if (cursor === undefined && !options.fromStart) problems.push(noPosition(requestField));
  else if (isUnsaid(Reflect.get(answer, requestField))) problems.push(missing(requestField));
  return problems;
}

function isUnsaid(value: unknown): boolean {
  return value === undefined || value === null;
}

/** To begin at the first message is for the application to say: whoever forgets it would have them all again. */
function missing(field: string): string {
  return `${field} is missing: say where to go on, 0 or empty for the start, or answer undefined, which ends the call`;
}

function noPosition(field: string): string {
  const begins = "the stream would begin now, and what came before be lost";
  return `${field} says no position: ${begins}; say where to go on, or answer undefined, which ends the call`;
}

/** Fields that are misspelt, or another message's: who encodes a request drops them. */
function unknownFields(answer: object, complete: Codec["complete"]): string[] {
  const sent = complete && completed(answer, complete);
  if (!sent) return [];
  const said = Object.entries(answer).filter(([, value]) => !isUnsaid(value));
  const unknown = said.map(([name]) => name).filter((name) => !NO_FIELDS.has(name) && !Object.hasOwn(sent, name));
  return unknown.map((name) => `the request has no field ${name}; there are ${Object.keys(sent).join(", ")}`);
}

/** @returns undefined for what cannot be encoded: its attempt says why. */
function completed(answer: object, complete: NonNullable<Codec["complete"]>): object | undefined {
  try {
    return complete(answer) as object;
  } catch {
    return undefined;
  }
}
