/** Constraints of contracts, evaluated by protovalidate: `npm install @bufbuild/protovalidate`. */

export { protovalidate } from "./protovalidate.ts";
