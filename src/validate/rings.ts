import { type DescField, type DescMessage, type FileRegistry, getOption, hasOption } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import {
  field as fieldRules,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { typesWithin } from "./rules.ts";

/**
 * The types that contain each other, A a B and B an A, by however many steps, where anything in them has a constraint.
 * Protovalidate 1.3.0 does not evaluate what is behind the step that closes such a ring: it takes a type that it is not
 * done with for one without constraints, and leaves the field out of its plan
 * (https://github.com/bufbuild/protovalidate-es/pull/186). Types that contain themselves it evaluates.
 */
export function typesInRings({ files }: FileRegistry): ReadonlySet<DescMessage> {
  return new Set([...files].flatMap((file) => ringsOf([...nestedTypes(file)].filter(isMessageType))));
}

function isMessageType(type: { kind: string }): type is DescMessage {
  return type.kind === "message";
}

/** @param types those of one file: as files cannot import each other, all types of a ring are in the same. */
function ringsOf(types: readonly DescMessage[]): DescMessage[] {
  const within = new Map(types.map((type) => [type, new Set(typesWithin(type))]));
  const inRing = ([type, others]: [DescMessage, Set<DescMessage>]) =>
    [...others].some((other) => other !== type && within.get(other)?.has(type));
  return [...within]
    .filter(inRing)
    .filter(([, others]) => [...others].some(isConstrained))
    .map(([type]) => type);
}

function isConstrained(type: DescMessage): boolean {
  return (
    hasOption(type, messageRules) ||
    type.fields.some((field) => hasOption(field, fieldRules)) ||
    type.oneofs.some((oneof) => hasOption(oneof, oneofRules))
  );
}

/**
 * The fields of a type through which types in rings are come to, here or deeper inside. Fields whose messages are not to
 * be checked are none.
 */
export function fieldsToRings(type: DescMessage, rings: ReadonlySet<DescMessage>): DescField[] {
  const leads = (message: DescMessage) => rings.has(message) || typesWithin(message).some((one) => rings.has(one));
  return type.fields.filter((field) => field.message && leads(field.message) && !isIgnored(field));
}

function isIgnored(field: DescField): boolean {
  const { ignore, type } = getOption(field, fieldRules);
  const each = type.case === "repeated" ? type.value.items : type.case === "map" ? type.value.values : undefined;
  return ignore === Ignore.ALWAYS || each?.ignore === Ignore.ALWAYS;
}
