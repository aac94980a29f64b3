import { create, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { type Path, pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldViolation } from "../core/status-detail.ts";
import { withoutStack } from "../core/without-stack.ts";
import type { MessageCheck, Validation } from "../server/index.ts";
import { ruleProblems } from "./compile-rules.ts";
import { type Look, type Parts, ringParts } from "./ring-parts.ts";
import { sizeCheck } from "./size-limits.ts";
import { hasMoreValues } from "./value-count.ts";

/**
 * In a request of more values than these, only the first violation is looked for: each takes some ten microseconds and
 * a kilobyte, and four megabytes have room for millions.
 */
const MOST_VALUES = 2_000;

/** Of a request of more bytes than these, lists and maps are counted before it is decoded. */
const MOST_UNCOUNTED_BYTES = 64 * 1024;

/**
 * Evaluates the constraints that a contract's messages have by `buf/validate/validate.proto`:
 * `createServer({ validation: protovalidate() })`. Standard rules, CEL, and predefined rules of one's own. Of requests with
 * more than 2,000 values the first violation alone is told.
 */
export function protovalidate(): Validation {
  return {
    files: [file_buf_validate_validate],
    compile(registry) {
      const every = createValidator({ registry });
      const first = createValidator({ registry, failFast: true });
      const partsOf = ringParts(registry);
      return (type) => {
        const problems = ruleProblems(registry, type);
        if (problems.length > 0) throw new Error(problems.join("; "));
        return checkOf({ every, first }, type, partsOf(type));
      };
    },
  };
}

/** What looks for every violation, and what stops at the first. */
interface Validators {
  readonly every: Validator;
  readonly first: Validator;
}

function checkOf({ every, first }: Validators, type: DescMessage, { types, each }: Parts): MessageCheck {
  const tooLong = sizeCheck(type);
  // A type is planned when it is first evaluated, which takes long enough to be felt by whoever calls first.
  for (const one of types) for (const validator of [every, first]) validator.validate(one, create(one));
  return (bytes) => {
    const excess = bytes.length > MOST_UNCOUNTED_BYTES ? tooLong(bytes) : undefined;
    if (excess) return [excess];
    const message = fromBinary(type, bytes);
    const isLarge = hasMoreValues(message, MOST_VALUES);
    const violations: FieldViolation[] = [];
    let failure: Error | undefined;
    const look: Look = (type, part, path) => {
      const result = (isLarge ? first : every).validate(type, part);
      if (result.kind === "error") failure = result.error;
      if (result.kind === "invalid") violations.push(...result.violations.map((one) => toFieldViolation(one, path)));
      return failure === undefined && !(isLarge && violations.length > 0);
    };
    // Whoever breaks a constraint makes an error too, of which the violations alone are wanted.
    withoutStack(() => each(message, look));
    if (failure) throw withStack(failure);
    return violations;
  };
}

/** A rule that cannot be evaluated: whoever mends it is to see at least from where it was. */
function withStack(error: Error): Error {
  Error.captureStackTrace(error);
  return error;
}

/** @param path where the message is that the violation is told of. */
function toFieldViolation({ field, message, ruleId, forKey }: Violation, path: Path): FieldViolation {
  const description = message || `does not keep to the rule ${ruleId}`;
  return {
    field: pathToString([...path, ...field]),
    description: forKey ? `key: ${description}` : description,
    reason: ruleId,
  };
}
