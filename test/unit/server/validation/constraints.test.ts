import { create, type MessageInitShape, setExtension, toBinary } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProtoSchema,
  FieldOptionsSchema,
  FieldDescriptorProto_Type as FieldType,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
  OneofOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { field, message, oneof } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { expect, test, vi } from "vitest";
import type { Contract } from "../../../../src/contract/contract.ts";
import { constrainedRequests } from "../../../../src/server/validation/constraints.ts";

type Message = MessageInitShape<typeof DescriptorProtoSchema>;

const required = setExtensionOf(FieldOptionsSchema, field);
const byCel = setExtensionOf(MessageOptionsSchema, message);
const oneOf = setExtensionOf(OneofOptionsSchema, oneof);

// biome-ignore lint/suspicious/noExplicitAny: three options of three types
function setExtensionOf(schema: any, extension: any): any {
  const options = create(schema);
  setExtension(options, extension, create(extension.message));
  return options;
}

const text = { name: "text", number: 1, type: FieldType.STRING };
const of = (typeName: string) => ({ name: "inner", number: 2, type: FieldType.MESSAGE, typeName });

/** A contract of a service with one method, whose request is the first of these messages. */
function contractOf(messages: readonly Message[], scope: string, dependency: readonly string[]): Contract {
  const prefix = scope === "" ? "" : `.${scope}`;
  const inputType = `${prefix}.${messages[0]?.name}`;
  const service = [{ name: "S", method: [{ name: "Do", inputType, outputType: inputType }] }];
  const file = [{ name: "a.proto", package: scope, dependency: [...dependency], messageType: [...messages], service }];
  const set = create(FileDescriptorSetSchema, { file });
  const descriptors = vi.fn(() => base64Encode(toBinary(FileDescriptorSetSchema, set)));
  return { name: `${prefix}.S`.slice(1), descriptors } as unknown as Contract;
}

const R = "R";
const cases: [string, Message[], boolean][] = [
  ["none", [{ name: R, field: [text] }], false],
  ["one of a field", [{ name: R, field: [{ ...text, options: required }] }], true],
  ["one of the message", [{ name: R, options: byCel }], true],
  ["one of a oneof", [{ name: R, oneofDecl: [{ name: "o", options: oneOf }] }], true],
  [
    "one of another message's, which is no part of it",
    [{ name: R }, { name: "B", field: [{ ...text, options: required }] }],
    false,
  ],
  [
    "one deep inside",
    [
      { name: R, field: [of(".p.B")] },
      { name: "B", field: [of(".p.C")] },
      { name: "C", options: byCel },
    ],
    true,
  ],
  [
    "one in a message within it",
    [{ name: R, field: [of(".p.R.In")], nestedType: [{ name: "In", options: byCel }] }],
    true,
  ],
  [
    "none, in a ring",
    [
      { name: R, field: [of(".p.B")] },
      { name: "B", field: [of(".p.R")] },
    ],
    false,
  ],
  [
    "one behind a ring",
    [
      { name: R, field: [of(".p.R"), of(".p.B")] },
      { name: "B", options: byCel },
    ],
    true,
  ],
  ["a type that is not among the files", [{ name: R, field: [of(".google.protobuf.Timestamp")] }], false],
];

test.each(cases)("a request with %s", (_, messages, constrained) => {
  const found = constrainedRequests(contractOf(messages, "p", ["buf/validate/validate.proto"]));
  expect([...found]).toEqual(constrained ? [["Do", "p.R"]] : []);
});

test("a contract without a package", () => {
  const found = constrainedRequests(contractOf([{ name: R, options: byCel }], "", ["buf/validate/validate.proto"]));
  expect([...found]).toEqual([["Do", "R"]]);
});

test("a contract that does not import what constraints are written with has none", () => {
  expect(constrainedRequests(contractOf([{ name: R, options: byCel }], "p", [])).size).toBe(0);
  expect(constrainedRequests({ name: "p.S", descriptors: () => "" } as unknown as Contract).size).toBe(0);
});
