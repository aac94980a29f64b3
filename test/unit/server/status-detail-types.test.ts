import { createFileRegistry, type DescField, type DescMessage, type Registry } from "@bufbuild/protobuf";
import { file_google_protobuf_duration } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { statusDetailTypes } from "../../../src/server/status-detail-types.ts";
import { rpcTypes } from "../../support/rpc-types.ts";

const ours = createFileRegistry({
  $typeName: "google.protobuf.FileDescriptorSet",
  file: [file_google_protobuf_duration.proto, statusDetailTypes()],
});

const FILE = "google/rpc/error_details.proto";

/** What can be seen of a field on the wire, and in JSON. */
function fieldOf({ name, number, jsonName, proto, fieldKind, presence }: DescField) {
  const { type, typeName, label, proto3Optional } = proto;
  return { name, number, jsonName, fieldKind, presence, type, typeName, label, proto3Optional };
}

function messagesOf(registry: Registry): readonly DescMessage[] {
  return [...registry].filter((type) => type.kind === "message" && type.file.proto.name === FILE) as DescMessage[];
}

test("the types of details are Google's: each of their messages, and of these each field", () => {
  const google = messagesOf(rpcTypes);
  const names = (messages: readonly DescMessage[]) => messages.map(({ typeName }) => typeName).toSorted();
  expect(names(messagesOf(ours))).toEqual(names(google));
  expect(google.length).toBeGreaterThan(13);
  for (const { typeName, fields } of google) {
    expect([typeName, ours.getMessage(typeName)?.fields.map(fieldOf)]).toEqual([typeName, fields.map(fieldOf)]);
  }
});
