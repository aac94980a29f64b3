import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { idempotencyKeyLayer } from "../../../src/client/layers/idempotency-key.ts";
import type { Call, StreamHandler } from "../../../src/core/call.ts";
import { seededRandom } from "../../../src/testing/index.ts";
import { aCall, aMethod, aReply, ScriptedStream } from "../../support/scripted.ts";

/** The key that a call is handed on with. */
async function keyOf(changes: Partial<Call>, layer = idempotencyKeyLayer(seededRandom(7))): Promise<unknown> {
  const given: Call[] = [];
  const next = async (call: Call) => aReply(given.push(call));
  await layer.unary(next, aMethod())(aCall(changes));
  return given[0]?.headers?.["idempotency-key"];
}

describe("the key of a call", () => {
  test("is 128 bits of the call's own chance", async () => {
    const layer = idempotencyKeyLayer(seededRandom(7));
    const keys = [await keyOf({}, layer), await keyOf({}, layer)];
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(keys[0]).not.toBe(keys[1]);
    expect(await keyOf({})).toBe(keys[0]);
  });

  test.each([
    [0, "0".repeat(32)],
    [1 - Number.EPSILON, "f".repeat(32)],
  ])("has all of its digits, whatever chance says: %d", async (chance, key) => {
    expect(
      await keyOf(
        {},
        idempotencyKeyLayer(() => chance),
      ),
    ).toBe(key);
  });

  test("is the caller's, as an option before metadata", async () => {
    const metadata = new Metadata({ "idempotency-key": "b" });
    expect(await keyOf({ options: { idempotencyKey: "a" } })).toBe("a");
    expect(await keyOf({ metadata })).toBe("b");
    expect(await keyOf({ options: { idempotencyKey: "a" }, metadata })).toBe("a");
    expect(metadata.getAll("idempotency-key")).toEqual(["b"]);
  });

  test("goes beside what other layers send", async () => {
    const given: Call[] = [];
    const layer = idempotencyKeyLayer(() => 0);
    await layer.unary(async (call) => aReply(given.push(call)), aMethod())(aCall({ headers: { other: "1" } }));
    expect(given[0]?.headers).toEqual({ other: "1", "idempotency-key": "0".repeat(32) });
  });

  test.each<[string, string]>([
    ["", "must have from 1 to 255 characters; it has 0"],
    ["x".repeat(256), "must have from 1 to 255 characters; it has 256"],
    ["a b", "must have printable ASCII characters alone, and neither space nor comma"],
    ["a,b", "must have printable ASCII characters alone, and neither space nor comma"],
  ])("%j is refused as metadata", async (key, problem) => {
    const call = aCall({ metadata: new Metadata({ "idempotency-key": key }) });
    const serve = idempotencyKeyLayer(() => 0).unary(async () => expect.unreachable(), call.method);
    expect(() => serve(call)).toThrow(new TypeError(`${call.method.path}: the metadata idempotency-key ${problem}`));
  });

  test.each(["x".repeat(255), "!", "~", "2b0ad3f4-7c5e-4f3c-9a49-0a3b8f8c1d2e", "a\"b'c;d"])(
    "%j is not",
    async (key) => {
      expect(await keyOf({ options: { idempotencyKey: key } })).toBe(key);
    },
  );

  test("is for one response: streams are handed on as they are", () => {
    const next: StreamHandler = () => new ScriptedStream();
    expect(idempotencyKeyLayer(() => 0).stream(next, aMethod("server-stream"))).toBe(next);
  });
});
