import { once } from "node:events";
import {
  connect,
  constants,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { onTestFinished } from "vitest";

/** Messages in gRPC's frames: a flag, a length of four bytes, the bytes. */
function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** A call as it arrives on the wire: nothing but HTTP/2 is between it and the test. */
export class RawCall {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** When its headers arrived, as `performance.now()` has it. */
  readonly arrivedAt: number = performance.now();
  /** Resolves with HTTP/2's error code once the stream is closed; 8 is CANCEL. */
  readonly closed: Promise<number>;
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream;
    this.headers = headers;
    this.path = String(headers[":path"]);
    this.closed = new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)));
    // A reset from the other side is told by `closed`.
    stream.on("error", () => {});
    stream.resume();
  }

  /** Answers OK with one message, an empty one unless it is given. */
  answer(message: Uint8Array = new Uint8Array()): void {
    this.begin();
    this.send(message);
    this.end(0);
  }

  /** Answers with a status and trailers, without headers before them. */
  refuse(code: number, trailers: OutgoingHttpHeaders = {}): void {
    const status = { ":status": 200, "content-type": "application/grpc", "grpc-status": String(code) };
    this.#stream.respond({ ...status, ...trailers }, { endStream: true });
  }

  /** Sends response headers, and nothing more for now. */
  begin(): void {
    this.#stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  }

  /** Sends a message, after `begin`. */
  send(message: Uint8Array = new Uint8Array()): void {
    this.#stream.write(frame(message));
  }

  /** Ends with a status and trailers, after `begin`. */
  end(code: number, trailers: OutgoingHttpHeaders = {}): void {
    this.#stream.once("wantTrailers", () => this.#stream.sendTrailers({ "grpc-status": String(code), ...trailers }));
    this.#stream.end();
  }

  /** Says that the connection goes away and this call was not looked at; another must have come before it. */
  goAway(): void {
    this.#stream.session?.goaway(constants.NGHTTP2_NO_ERROR, Number(this.#stream.id) - 2);
  }

  /** Breaks off the connection under the call. */
  breakOff(): void {
    this.#stream.session?.socket.destroy();
  }

  /** Resets the stream, as a server does that cancels it unless another of HTTP/2's codes is given. */
  reset(code: number = constants.NGHTTP2_CANCEL): void {
    this.#stream.close(code);
  }
}

/** What calls arrive at, as they are on the wire. */
export interface RawServer {
  readonly port: number;
  /** All that arrived, oldest first. */
  readonly calls: readonly RawCall[];
  /** The next one that nobody has taken yet, when it arrives. */
  next(): Promise<RawCall>;
}

/** A server of nothing but HTTP/2, until the test is over. */
export async function rawServer(): Promise<RawServer> {
  const calls: RawCall[] = [];
  const arrived: PromiseWithResolvers<RawCall>[] = [];
  const [filled, taken] = [{ count: 0 }, { count: 0 }];
  const slot = (index: number) => {
    arrived[index] ??= Promise.withResolvers<RawCall>();
    return arrived[index];
  };
  const sessions = new Set<Http2Session>();
  const server = createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    const call = new RawCall(stream, headers);
    calls.push(call);
    slot(filled.count++).resolve(call);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { port, calls, next: () => slot(taken.count++).promise };
}

/** Makes a unary or server-stream call with an empty request, and gives the status that it ends with. */
export async function rawCall(port: number, path: string, headers: OutgoingHttpHeaders): Promise<number> {
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const status = new Promise<number>((resolve, reject) => {
    const read = (received: IncomingHttpHeaders) => {
      const code = received["grpc-status"];
      if (code !== undefined) resolve(Number(code));
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("error", reject);
  });
  stream.end(frame(new Uint8Array()));
  stream.resume();
  return await status;
}
