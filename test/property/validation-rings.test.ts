import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type Message,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import {
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import {
  FieldRulesSchema,
  field as fieldRules,
  file_buf_validate_validate,
  Ignore,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { protovalidate } from "bowline/validate";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Parts, ringParts } from "../../src/validate/ring-parts.ts";

const GRAPHS = 30;

/** It remembers types by what they are, and not by their names. */
const validator = createValidator();

/** A field that holds messages of one of the types, be it its own. */
interface Edge {
  readonly to: number;
  readonly kind: "message" | "list" | "map";
  readonly isIgnored: boolean;
}

/** A type, whose messages must have a name if it is constrained. */
interface Kind {
  readonly isConstrained: boolean;
  readonly edges: readonly Edge[];
}

/** Whether a message has a name, and what is in it: through the field of this number, modulo how many there are. */
interface Tree {
  readonly isNamed: boolean;
  readonly inner: readonly { readonly way: number; readonly tree: Tree }[];
}

const kinds = fc.array(
  fc.record({
    isConstrained: fc.boolean(),
    edges: fc.array(
      fc.record({
        to: fc.nat(3),
        kind: fc.constantFrom("message", "list", "map"),
        isIgnored: fc.nat(7).map((n) => n === 7),
      }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 4, maxLength: 4 },
) satisfies fc.Arbitrary<Kind[]>;

const { tree } = fc.letrec<{ tree: Tree; inner: Tree["inner"] }>((tie) => ({
  tree: fc.record({ isNamed: fc.nat(2).map((n) => n > 0), inner: tie("inner") }),
  inner: fc.oneof(
    { maxDepth: 6, depthSize: "max" },
    fc.constant([]),
    fc.array(fc.record({ way: fc.nat(2), tree: tie("tree") }), { minLength: 1, maxLength: 2 }),
  ),
}));

function rules(given: object) {
  const options = create(FieldOptionsSchema);
  setExtension(options, fieldRules, create(FieldRulesSchema, given));
  return { options };
}
const named = rules({ type: { case: "string", value: { minLen: 1n } } });
const ignored = rules({ ignore: Ignore.ALWAYS });

const name = { name: "name", number: 1, type: Type.STRING, label: Label.OPTIONAL };

/** A type's descriptor. A map's entries are of a type within the one that has it. */
function messageOf({ isConstrained, edges }: Kind, n: number) {
  const holding = (typeName: string, label: Label) => ({ type: Type.MESSAGE, typeName, label });
  const field = edges.map(({ to, kind, isIgnored }, at) => ({
    ...{ name: `f${at}`, number: at + 2 },
    ...(kind === "map" ? holding(`.p.T${n}.F${at}Entry`, Label.REPEATED) : {}),
    ...(kind === "list" ? holding(`.p.T${to}`, Label.REPEATED) : {}),
    ...(kind === "message" ? holding(`.p.T${to}`, Label.OPTIONAL) : {}),
    ...(isIgnored ? ignored : {}),
  }));
  const nestedType = edges.flatMap(({ to, kind }, at) =>
    kind === "map"
      ? [
          {
            name: `F${at}Entry`,
            options: { mapEntry: true },
            field: [
              { ...name, name: "key" },
              { name: "value", number: 2, ...holding(`.p.T${to}`, Label.OPTIONAL) },
            ],
          },
        ]
      : [],
  );
  return { name: `T${n}`, field: [{ ...name, ...(isConstrained ? named : {}) }, ...field], nestedType };
}

function imports(file: DescFile): FileDescriptorProto[] {
  return [...file.dependencies.flatMap(imports), file.proto];
}

function registryOf(kinds: readonly Kind[]) {
  const dependency = [file_buf_validate_validate.proto.name];
  const file = { name: "p.proto", package: "p", syntax: "proto3", dependency, messageType: kinds.map(messageOf) };
  const own = create(FileDescriptorProtoSchema, file);
  const others = new Map(imports(file_buf_validate_validate).map((one) => [one.name, one]));
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...others.values(), own] }));
}

/** A message of a type, and where in it names are missing. */
interface Made {
  readonly message: Record<string, unknown>;
  readonly wrong: readonly string[];
}

function make(kinds: readonly Kind[], type: number, { isNamed, inner }: Tree, path = "", isChecked = true): Made {
  const { isConstrained, edges } = kinds[type] as Kind;
  const message: Record<string, unknown> = isNamed ? { name: "n" } : {};
  const wrong = isConstrained && isChecked && !isNamed ? [`${path}name`] : [];
  for (const { way, tree } of edges.length === 0 ? [] : inner) {
    const at = way % edges.length;
    const { to, kind, isIgnored } = edges[at] as Edge;
    const field = `f${at}`;
    const known = (message[field] ?? []) as object[] | object;
    const index = Object.keys(known).length;
    if (kind === "message" && field in message) continue;
    const step = { message: "", list: `[${index}]`, map: `["${index}"]` }[kind];
    const made = make(kinds, to, tree, `${path}${field}${step}.`, isChecked && !isIgnored);
    wrong.push(...made.wrong);
    if (kind === "message") message[field] = made.message;
    else if (kind === "list") message[field] = [...(known as object[]), made.message];
    else message[field] = { ...known, [index]: made.message };
  }
  return { message, wrong };
}

/** Where names are missing, as protovalidate says of each part of a message. */
function toldOf({ types, each }: Parts, message: Message): string[] {
  const told: string[] = [];
  each(message, (type, part, path) => {
    // They were made, and planned, when the service was added.
    expect(types.includes(type)).toBe(true);
    const { violations = [] } = validator.validate(type, part);
    told.push(...violations.map(({ field }) => pathToString([...path, ...field])));
    return true;
  });
  return told;
}

test("however types contain each other, what is wrong is told wherever it is, and once", () => {
  fc.assert(
    fc.property(kinds, fc.array(tree, { minLength: 4, maxLength: 8 }), (kinds, trees) => {
      const registry = registryOf(kinds);
      const partsOf = ringParts(registry);
      for (const [n, tree] of trees.entries()) {
        const at = n % kinds.length;
        const type = registry.getMessage(`p.T${at}`) as DescMessage;
        const { message, wrong } = make(kinds, at, tree);
        expect(toldOf(partsOf(type), create(type, message)).toSorted()).toEqual(wrong.toSorted());
      }
    }),
    { numRuns: GRAPHS },
  );
});

test("thirty types that each contain themselves and many others are planned, and checked", () => {
  const many = Array.from({ length: 30 }, (_, n) => ({
    isConstrained: true,
    edges: [0, 1, 4, 9, 16].map((step) => ({ to: (n + step) % 30, kind: "message" as const, isIgnored: false })),
  }));
  const registry = registryOf(many);
  const type = registry.getMessage("p.T0") as DescMessage;
  const check = protovalidate().compile(registry)(type);
  const message = { name: "n", f1: { name: "n", f0: { name: "n", f4: {} } } };
  expect(check(toBinary(type, create(type, message as never)))).toMatchObject([{ field: "f1.f0.f4.name" }]);
});
