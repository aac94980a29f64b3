import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { expect, test } from "vitest";
import { mustRun } from "../support/run.ts";

/** A descriptor apart from the order in which a message's fields stand, which means nothing. */
function inOrder(bytes: Uint8Array): object {
  const file = fromBinary(FileDescriptorProtoSchema, bytes);
  for (const { field } of file.messageType) field.sort((a, b) => a.number - b.number);
  file.extension.sort((a, b) => (a.name < b.name ? -1 : 1));
  return file;
}

test("validate.proto, as it is printed, is the descriptor that protovalidate carries", () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-validate-"));
  mustRun("node", ["scripts/print-validate-proto.ts", folder]);
  const image = mustRun("buf", [
    "build",
    folder,
    "--as-file-descriptor-set",
    "--exclude-source-info",
    "-o",
    `${folder}/image.binpb`,
  ]);
  expect(image.stderr).toBe("");
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(`${folder}/image.binpb`));
  rmSync(folder, { recursive: true });
  const printed = file.find(({ name }) => name === "buf/validate/validate.proto");
  if (!printed) throw new Error("nothing was printed");
  const carried = toBinary(FileDescriptorProtoSchema, file_buf_validate_validate.proto);
  expect(inOrder(toBinary(FileDescriptorProtoSchema, printed))).toEqual(inOrder(carried));
});
