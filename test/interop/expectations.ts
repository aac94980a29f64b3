import { PassThrough } from "node:stream";
import { RpcError, type StatusCode } from "bowline";
import type { CallOptions } from "bowline/runtime/v1";
import { expect } from "vitest";
import { rejection } from "../support/orders.ts";
import type { Case } from "./cases.ts";
import type { DeepPartial, Payload, StreamingOutputCallRequest } from "./gen/grpc/testing/messages.ts";
import type { TestServiceClient } from "./gen/grpc/testing/test.contract.ts";
import type { SuiteClient } from "./suite-client.ts";

/** Cases, as Bowline's client executes them: each rejects if anything is not as the case wants it. */
export type ClientCases = Partial<Record<Case, (client: SuiteClient) => Promise<void>>>;

/** What `large_unary` and its like send and want. */
export const LARGE = { responseSize: 314_159, payload: { body: new Uint8Array(271_828) } };

/** A request of a stream. */
export type Duplex = DeepPartial<StreamingOutputCallRequest>;

/** Makes a `large_unary` call. */
export async function largeUnary(tests: TestServiceClient, more: object = {}, options?: CallOptions): Promise<void> {
  const { payload } = await tests.unaryCall({ ...LARGE, ...more }, options);
  expect(payload?.body.byteLength).toBe(LARGE.responseSize);
}

/** Wants a call to end with a status and, where it is given, a message. */
export async function expectStatus(call: Promise<unknown>, code: StatusCode, message?: string): Promise<void> {
  const error = RpcError.from(await rejection(call));
  expect({ code: error.code, message: message && error.details }).toEqual({ code, message });
}

/** Requests to write to, one after another, and to end. */
export function requestsOf(...first: object[]): PassThrough {
  const requests = new PassThrough({ objectMode: true });
  for (const request of first) requests.write(request);
  return requests;
}

/** The sizes of all responses of a stream. */
export function sizes(responses: AsyncIterable<{ readonly payload?: Payload | undefined }>): Promise<unknown[]> {
  return Array.fromAsync(responses, ({ payload }) => payload?.body.byteLength);
}
