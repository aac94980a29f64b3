import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { onTestFinished } from "vitest";

/** What a call was answered, as it was on the wire. */
export interface RawAnswer {
  /** Headers and trailers, without the date; the message decoded, and what was called in it as `<path>`. */
  readonly headers: readonly Record<string, unknown>[];
  readonly code: number;
}

/** One empty message in gRPC's frame. */
export const EMPTY = Buffer.alloc(5);

/** Calls over one connection of nothing but HTTP/2, until the test is over. */
export function rawCaller(port: number) {
  const session = connect(`http://127.0.0.1:${port}`);
  // A server that refuses more may close it.
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return (path: string, headers: OutgoingHttpHeaders, body: Uint8Array = EMPTY): Promise<RawAnswer> => {
    const fixed = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request({ ...fixed, ...headers });
    const seen: Record<string, unknown>[] = [];
    const note = (received: IncomingHttpHeaders) => {
      const { date: _, "grpc-message": message, ...rest } = Object.fromEntries(Object.entries(received));
      const text = message && decodeURIComponent(String(message)).replace(new RegExp(`(?<= )${path}$`), "<path>");
      seen.push({ ...rest, ...(text && { "grpc-message": text }) });
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.resume();
    stream.end(body);
    return new Promise((resolve, reject) => {
      stream.on("error", reject);
      stream.on("close", () => {
        const code = seen.map((one) => one["grpc-status"]).find((one) => one !== undefined);
        resolve({ headers: seen, code: Number(code ?? Number.NaN) });
      });
    });
  };
}
