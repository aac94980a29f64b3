import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { generate } from "./generate.ts";

/**
 * `protoc-gen-bowline`, as buf and protoc run it: a request on stdin, the response on stdout. What is wrong with
 * a contract goes into the response, as the protocol has it; the compiler shows it, writes nothing and ends with 1.
 */
const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const request = fromBinary(CodeGeneratorRequestSchema, Buffer.concat(chunks));
process.stdout.write(toBinary(CodeGeneratorResponseSchema, generate(request)));
