import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageLimit } from "../../../../src/testing/fault-proxy/message-limit.ts";

/** A message in gRPC's frame. */
function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test("lets whole messages pass, however the bytes are cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 });
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(messages, cuts, fc.integer({ min: 0, max: 7 }), (messages, cuts, count) => {
      const bytes = Buffer.concat(messages.map(frame));
      const limit = new MessageLimit(count);
      const passed: Buffer[] = [];
      for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
        const length = cuts[turn % cuts.length] ?? 1;
        passed.push(limit.take(bytes.subarray(offset, offset + length)));
        offset += length;
      }
      expect(Buffer.concat(passed)).toEqual(Buffer.concat(messages.slice(0, count).map(frame)));
      expect(limit.reached).toBe(messages.length >= count);
    }),
  );
});

test("lets nothing pass of none", () => {
  const limit = new MessageLimit(0);
  expect(limit.reached).toBe(true);
  expect(limit.take(frame(Buffer.from("abc"))).length).toBe(0);
});
