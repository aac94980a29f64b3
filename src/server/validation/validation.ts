import type { DescFile, DescMessage, FileRegistry } from "@bufbuild/protobuf";
import { isObject, type OptionCheck } from "../../core/check-options.ts";
import type { FieldViolation } from "../../core/status-detail.ts";

/** What is wrong with a message; nothing if it keeps to its constraints. */
export type MessageCheck = (bytes: Uint8Array) => readonly FieldViolation[];

/** What evaluates the constraints of contracts; `protovalidate()` of `bowline/validate` makes one. */
export interface Validation {
  /** The file that constraints are written with, `buf/validate/validate.proto`, which contracts do not carry. */
  readonly files: readonly DescFile[];
  /**
   * Makes the checks of a contract's messages: called once for each contract, and what it returns once for each type.
   *
   * @param registry the contract's files, and all that they import.
   * @returns a function that throws Error for a type whose constraints cannot be evaluated.
   */
  compile(registry: FileRegistry): (type: DescMessage) => MessageCheck;
}

/** What is wrong with a server's validation; `false` is to serve requests unchecked. */
export const isValidation: OptionCheck = (value) => {
  const made = isObject(value) === undefined && typeof Reflect.get(value as object, "compile") === "function";
  return value === false || made ? undefined : "must be protovalidate() of bowline/validate, or false";
};
