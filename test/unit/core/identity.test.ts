import { expect, test } from "vitest";
import { peerIdentity } from "../../../src/core/identity.ts";

test.each([
  ["10.0.0.7:5123", "peer:10.0.0.7"],
  ["10.0.0.7", "peer:10.0.0.7"],
  ["[2001:db8::7]:5123", "peer:2001:db8::7"],
  ["2001:db8::7:5123", "peer:2001:db8::7"],
  ["::1:5123", "peer:::1"],
  ["::ffff:10.0.0.7:5123", "peer:10.0.0.7"],
  ["[::FFFF:10.0.0.7]:5123", "peer:10.0.0.7"],
  ["unknown", "peer:unknown"],
  ["", "peer:"],
])("the caller at %j is %s", (peer, key) => {
  expect(peerIdentity(peer)).toEqual({ key, source: "peer" });
});
