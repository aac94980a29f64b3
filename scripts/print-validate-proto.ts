/**
 * Prints `buf/validate/validate.proto`, which no npm package ships, from the descriptor that `@bufbuild/protovalidate`
 * carries: for this repository's own contracts and, when the package is built, for those of its users.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { printProto } from "./proto-source.ts";

const HEADER = `// Constraints on messages: protovalidate's own, https://protovalidate.com. Printed by Bowline from the descriptor in
// the npm package @bufbuild/protovalidate; copyright Buf Technologies, Inc., Apache License 2.0.
`;

const [folder = join(import.meta.dirname, "../node_modules/.cache/bowline/proto")] = process.argv.slice(2);
const path = join(folder, `${file_buf_validate_validate.name}.proto`);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, HEADER + printProto(file_buf_validate_validate));
