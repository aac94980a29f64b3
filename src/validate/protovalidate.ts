import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldViolation } from "../core/status-detail.ts";
import { withoutStack } from "../core/without-stack.ts";
import type { MessageCheck, Validation } from "../server/index.ts";
import { ruleProblems } from "./compile-rules.ts";

/**
 * Evaluates the constraints that a contract's messages have by `buf/validate/validate.proto`:
 * `createServer({ validation: protovalidate() })`. Standard rules, CEL, and predefined rules of one's own.
 */
export function protovalidate(): Validation {
  return {
    files: [file_buf_validate_validate],
    compile(registry) {
      const validator = createValidator({ registry });
      return (type) => {
        const problems = ruleProblems(validator, registry, type);
        if (problems.length > 0) throw new Error(problems.join("; "));
        return checkOf(validator, type);
      };
    },
  };
}

function checkOf(validator: Validator, type: DescMessage): MessageCheck {
  return (bytes) => {
    const message = fromBinary(type, bytes);
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
