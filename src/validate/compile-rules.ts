import {
  create,
  createFileRegistry,
  createRegistry,
  type DescMessage,
  type Registry,
  setExtension,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, MessageOptionsSchema } from "@bufbuild/protobuf/wkt";
import { CompilationError, createValidator, type Validator } from "@bufbuild/protovalidate";
import { MessageRulesSchema, message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { probesOf, type RuleProbe } from "./rule-probes.ts";
import { type Expression, expressionsOf, predefinedExpressions, typesWithin } from "./rules.ts";
import { samplesOf } from "./samples.ts";

/** A function or a variable that there is not, which CEL notices when it comes to it. */
const UNKNOWN_NAME = /^(unbound function|unresolved attribute)/;
/** `rule` and `rules` are known to rules of one's own alone. */
const UNKNOWN_FUNCTION = /^unbound function/;

/** What is wrong with a rule, whatever the message is. Other errors, such as of an index, are for messages to raise. */
const NEVER = /^(unbound function|unresolved attribute|error parsing regexp|expression .* outputs )/;
/** The same, unless values have no type until they come. */
const NEVER_OF_ITS_TYPE = /^found no matching overload/;
/** The same, and unless it is a map's key. */
const NEVER_OF_ITS_FIELDS = /^field not found/;

/**
 * Looks for what is wrong with a type's constraints. Protovalidate notices that a rule cannot be evaluated when it comes
 * to evaluate it, which may be in a year: so each is tried by itself, on an empty message and on some that are not.
 *
 * @returns all that is wrong.
 */
export function ruleProblems(registry: Registry, type: DescMessage): string[] {
  const probes = probesOf(typesWithin(type));
  // One of its own, for it keeps every type that it has ever seen. It knows the probes, or it would go through all types
  // that each of them uses, which may be hundreds.
  const validator = createValidator({ registry: createRegistry(registry, ...probes.map(({ type }) => type)) });
  const compiled = [
    ...expressionsOf(type).flatMap((one) => expressionProblems(validator, one, UNKNOWN_NAME)),
    ...predefinedExpressions(registry).flatMap((one) => expressionProblems(validator, one, UNKNOWN_FUNCTION)),
  ];
  return [...compiled, ...probes.flatMap((one) => probeProblems(validator, one, compiled))];
}

/** Tries an expression by itself: as the rule of a message that has nothing else. */
function expressionProblems(validator: Validator, one: Expression, mistake: RegExp): string[] {
  const { where, id, expression } = one;
  const probe = probeOf(expression);
  const { error } = validator.validate(probe, create(probe)) as { error?: Error };
  const mistaken = error instanceof CompilationError || (error && mistake.test(error.message));
  return mistaken ? [`${where}: the rule ${JSON.stringify(id)} cannot be compiled: ${error.message}`] : [];
}

/** @param known problems that are not told again. */
function probeProblems(validator: Validator, { at, id, type }: RuleProbe, known: readonly string[]): string[] {
  const fields = at.kind === "field" ? type.fields.filter(({ number }) => number === at.number) : type.fields;
  const errors = samplesOf(type, fields).map((sample) => validator.validate(type, sample).error);
  const mistake = errors.find((error) => error instanceof Error && isMistake(error, at));
  const message = mistake?.message.replaceAll(type.typeName, (at.kind === "field" ? at.parent : at).typeName) ?? "";
  if (!mistake || known.some((one) => one.startsWith(`${at}: `) && one.endsWith(message))) return [];
  const rule = id === undefined ? "its constraints" : `the rule ${JSON.stringify(id)}`;
  return [`${at}: ${rule} cannot be evaluated: ${message}`];
}

function isMistake(error: Error, at: RuleProbe["at"]): boolean {
  if (error instanceof CompilationError || NEVER.test(error.message)) return true;
  const fields = at.kind === "field" ? [at] : at.fields;
  const within = fields.flatMap(({ message }) => (message ? typesWithin(message) : []));
  if (within.some(({ typeName }) => DYNAMIC.has(typeName))) return false;
  if (NEVER_OF_ITS_TYPE.test(error.message)) return true;
  const everyField = [...fields, ...within.flatMap((type) => type.fields)];
  return NEVER_OF_ITS_FIELDS.test(error.message) && !everyField.some(({ fieldKind }) => fieldKind === "map");
}

/** Of what these hold no rule can know the type. */
const DYNAMIC = new Set(["google.protobuf.Any", "google.protobuf.Value"]);

function probeOf(expression: string): DescMessage {
  const options = create(MessageOptionsSchema);
  setExtension(options, messageRules, create(MessageRulesSchema, { celExpression: [expression] }));
  const file = { name: "probe.proto", syntax: "proto3", messageType: [{ name: "Probe", options }] };
  const probe = createFileRegistry(create(FileDescriptorProtoSchema, file), () => undefined).getMessage("Probe");
  if (!probe) throw new Error("a probe has no type");
  return probe;
}
