import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as dial, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export const UNARY = "/shop.orders.v1.OrderService/GetOrder";
export const UPLOAD = "/shop.orders.v1.OrderService/ImportOrders";
export const STREAM = "/shop.orders.v1.OrderService/WatchOrders";

/** How a call ended, as the attacker sees it. */
export interface Seen {
  /** `:status`, unless none came. */
  readonly http: number | undefined;
  /** `grpc-status`, unless none came. */
  readonly grpc: number | undefined;
  /** HTTP/2's error code: 0 is none. */
  readonly reset: number;
}

/** A message in gRPC's frame; `flag` and `length` say something else than the truth where that is wanted. */
export function framed(message: Uint8Array, { flag = 0, length = message.byteLength } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** A connection of nothing but HTTP/2, until the test is over. */
export function session(port: number): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${port}`, { settings: { enablePush: false } });
  opened.on("error", () => {});
  onTestFinished(() => opened.destroy());
  return opened;
}

/** Opens a call; headers that are `undefined` are left out. */
export function open(
  connection: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const all = {
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const stream = connection.request(sent, { endStream: false });
  stream.on("error", () => {});
  return stream;
}

/** Waits for a call's end. */
export async function end(stream: ClientHttp2Stream): Promise<Seen> {
  const seen: { http?: number; grpc?: number } = {};
  const read = (headers: IncomingHttpHeaders) => {
    if (headers[":status"] !== undefined) seen.http = Number(headers[":status"]);
    if (headers["grpc-status"] !== undefined) seen.grpc = Number(headers["grpc-status"]);
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  // Not `once`, which rejects at a reset.
  if (!stream.closed) await new Promise<void>((resolve) => stream.on("close", resolve));
  return { http: seen.http, grpc: seen.grpc, reset: stream.rstCode };
}

/** Makes a call with one body, in one connection, and waits for its end. */
export function call(
  connection: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  headers?: OutgoingHttpHeaders,
): Promise<Seen> {
  const stream = open(connection, path, headers);
  stream.end(body);
  return end(stream);
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** HTTP/2's frame types that are made by hand here. */
export const Frame = { DATA: 0, HEADERS: 1, SETTINGS: 4, PING: 6, CONTINUATION: 9 } as const;

/** A frame of HTTP/2, made by hand. */
export function http2Frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A connection of nothing but bytes, until the test is over. `greeted`: after HTTP/2's preface and settings. */
export async function bytes(port: number, { greeted = false } = {}): Promise<Socket> {
  const socket = dial(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  if (greeted) socket.write(Buffer.concat([PREFACE, http2Frame(Frame.SETTINGS, 0, 0, new Uint8Array())]));
  return socket;
}

export { PREFACE };
