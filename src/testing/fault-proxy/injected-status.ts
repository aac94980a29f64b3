import type { OutgoingHttpHeaders } from "node:http2";
import { PUSHBACK } from "../../core/errors.ts";
import { Status } from "../../core/status.ts";
import { headerOf } from "./headers.ts";
import type { CallRule, TrailerValue } from "./rules.ts";

/** The whole answer that a status is: trailers without a message before them. */
export function injectedStatus(
  rule: CallRule & { fault: "status" },
  request: OutgoingHttpHeaders,
): OutgoingHttpHeaders {
  const { code, details = "injected", pushbackMs, trailer = {} } = rule;
  const further = Object.entries(trailer).map(([key, values]) => [key, [values].flat().map(toText)]);
  return {
    ":status": 200,
    "content-type": headerOf(request, "content-type") ?? "application/grpc",
    "grpc-status": String(Status[code]),
    "grpc-message": percentEncode(details),
    ...(pushbackMs === undefined ? {} : { [PUSHBACK]: String(pushbackMs) }),
    ...Object.fromEntries(further),
  };
}

function toText(value: TrailerValue): string {
  return typeof value === "string" ? value : Buffer.from(value).toString("base64");
}

/** As gRPC has it for the text of a status: bytes of UTF-8, of which only printable ASCII stays, "%" excepted. */
function percentEncode(text: string): string {
  const bytes = [...Buffer.from(text)];
  const encode = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return bytes
    .map((byte) => (byte < 0x20 || byte > 0x7e || byte === 0x25 ? encode(byte) : String.fromCharCode(byte)))
    .join("");
}
