import { create, createFileRegistry, type DescMessage, type Registry, setExtension } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, MessageOptionsSchema } from "@bufbuild/protobuf/wkt";
import { CompilationError, type Validator } from "@bufbuild/protovalidate";
import { MessageRulesSchema, message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { type Expression, expressionsOf, predefinedExpressions } from "./rules.ts";

/** A function or a variable that there is not, which CEL notices when it comes to it. */
const UNKNOWN_NAME = /^(unbound function|unresolved attribute)/;
/** `rule` and `rules` are known to rules of one's own alone. */
const UNKNOWN_FUNCTION = /^unbound function/;

/**
 * Looks for what is wrong with a type's constraints. Protovalidate notices that an expression cannot be compiled when it
 * comes to evaluate it, which may be in a year.
 *
 * @returns all that is wrong.
 */
export function ruleProblems(validator: Validator, registry: Registry, type: DescMessage): string[] {
  const problems = [
    ...expressionsOf(type).flatMap((one) => expressionProblems(validator, one, UNKNOWN_NAME)),
    ...predefinedExpressions(registry).flatMap((one) => expressionProblems(validator, one, UNKNOWN_FUNCTION)),
  ];
  // Standard rules that do not fit their fields, which an empty message shows.
  const { error } = validator.validate(type, create(type)) as { error?: unknown };
  if (problems.length === 0 && error instanceof CompilationError) problems.push(error.message);
  return problems;
}

/** Tries an expression by itself: as the rule of a message that has nothing else. */
function expressionProblems(validator: Validator, one: Expression, mistake: RegExp): string[] {
  const { where, id, expression } = one;
  const probe = probeOf(expression);
  const { error } = validator.validate(probe, create(probe)) as { error?: Error };
  const mistaken = error instanceof CompilationError || (error && mistake.test(error.message));
  return mistaken ? [`${where}: the rule ${JSON.stringify(id)} cannot be compiled: ${error.message}`] : [];
}

function probeOf(expression: string): DescMessage {
  const options = create(MessageOptionsSchema);
  setExtension(options, messageRules, create(MessageRulesSchema, { celExpression: [expression] }));
  const file = { name: "probe.proto", syntax: "proto3", messageType: [{ name: "Probe", options }] };
  const probe = createFileRegistry(create(FileDescriptorProtoSchema, file), () => undefined).getMessage("Probe");
  if (!probe) throw new Error("a probe has no type");
  return probe;
}
