import {
  type DescExtension,
  type DescField,
  type DescMessage,
  type DescOneof,
  getOption,
  hasOption,
  type Registry,
} from "@bufbuild/protobuf";
import {
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
  predefined,
  type Rule,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** A CEL expression out of a contract, and where it stands. */
export interface Expression {
  readonly where: string;
  readonly id: string;
  readonly expression: string;
}

/** The expressions that stand at a type and at those inside it. */
export function expressionsOf(type: DescMessage): Expression[] {
  return typesWithin(type).flatMap((one) => [
    ...(hasOption(one, messageRules) ? expressionsIn(getOption(one, messageRules), one) : []),
    ...one.fields.flatMap((field) =>
      hasOption(field, fieldRules) ? expressionsIn(getOption(field, fieldRules), field) : [],
    ),
    ...one.oneofs.flatMap((oneof) =>
      hasOption(oneof, oneofRules) ? expressionsIn(getOption(oneof, oneofRules), oneof) : [],
    ),
  ]);
}

/** The expressions of rules of one's own: extensions of protovalidate's. */
export function predefinedExpressions(registry: Registry): Expression[] {
  return [...registry].flatMap((type) =>
    type.kind === "extension" && hasOption(type, predefined) ? expressionsIn(getOption(type, predefined), type) : [],
  );
}

/** A type, and the types of its fields, deeply. */
export function typesWithin(type: DescMessage): DescMessage[] {
  return [...addTypes(type, new Set())];
}

function addTypes(type: DescMessage, seen: Set<DescMessage>): Set<DescMessage> {
  if (seen.has(type)) return seen;
  seen.add(type);
  for (const { message } of type.fields) if (message) addTypes(message, seen);
  return seen;
}

/** Rules stand at several depths: those of a list's entries and a map's keys are within the field's own. */
function expressionsIn(rules: unknown, at: DescMessage | DescField | DescOneof | DescExtension): Expression[] {
  if (typeof rules !== "object" || rules === null || rules instanceof Uint8Array) return [];
  if (isRule(rules)) return [{ where: at.toString(), id: rules.id, expression: rules.expression }];
  return Object.entries(rules).flatMap(([name, value]) =>
    name === "celExpression"
      ? (value as string[]).map((expression) => ({ where: at.toString(), id: expression, expression }))
      : expressionsIn(value, at),
  );
}

function isRule(rules: object): rules is Rule {
  return Reflect.get(rules, "$typeName") === "buf.validate.Rule";
}
