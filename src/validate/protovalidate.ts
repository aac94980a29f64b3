import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldViolation } from "../core/status-detail.ts";
import { withoutStack } from "../core/without-stack.ts";
import type { MessageCheck, Validation } from "../server/index.ts";
import { ruleProblems } from "./compile-rules.ts";
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
      return (type) => {
        const problems = ruleProblems(registry, type);
        if (problems.length > 0) throw new Error(problems.join("; "));
        return checkOf({ every, first }, type);
      };
    },
  };
}

/** What looks for every violation, and what stops at the first. */
interface Validators {
  readonly every: Validator;
  readonly first: Validator;
}

function checkOf({ every, first }: Validators, type: DescMessage): MessageCheck {
  const tooLong = sizeCheck(type);
  return (bytes) => {
    const excess = bytes.length > MOST_UNCOUNTED_BYTES ? tooLong(bytes) : undefined;
    if (excess) return [excess];
    const message = fromBinary(type, bytes);
    const validator = hasMoreValues(message, MOST_VALUES) ? first : every;
    // Whoever breaks a constraint makes an error too, of which the violations alone are wanted.
    const result = withoutStack(() => validator.validate(type, message));
    if (result.kind === "error") throw withStack(result.error);
    return result.kind === "valid" ? [] : result.violations.map(toFieldViolation);
  };
}

/** A rule that cannot be evaluated: whoever mends it is to see at least from where it was. */
function withStack(error: Error): Error {
  Error.captureStackTrace(error);
  return error;
}

function toFieldViolation({ field, message, ruleId, forKey }: Violation): FieldViolation {
  const description = message || `does not keep to the rule ${ruleId}`;
  return { field: pathToString(field), description: forKey ? `key: ${description}` : description, reason: ruleId };
}
