import fc from "fast-check";
import { expect, test } from "vitest";
import { peerNetworkKey } from "../../../src/core/peer-network.ts";

test.each([
  ["peer:10.0.0.7", "peer:10.0.0.7"],
  ["peer:2001:db8::7", "peer:2001:db8:0:0::/64"],
  ["peer:2001:DB8:0:0:1:2:3:4", "peer:2001:db8:0:0::/64"],
  ["peer:2001:db8:0:1::", "peer:2001:db8:0:1::/64"],
  ["peer:2001:db8:1:2:3:4:5::", "peer:2001:db8:1:2::/64"],
  ["peer:2001::1:2:3:4:5:6", "peer:2001:0:1:2::/64"],
  ["peer:::", "peer:0:0:0:0::/64"],
  ["peer:::1", "peer:0:0:0:0::/64"],
  ["peer:fe80::1%eth0", "peer:fe80:0:0:0::/64%eth0"],
  ["peer:::ffff:10.0.0.7", "peer:10.0.0.7"],
  ["peer:::FFFF:a00:7", "peer:10.0.0.7"],
  ["peer:0:0:0:0:0:ffff:10.0.0.7", "peer:10.0.0.7"],
  ["peer:64:ff9b::10.0.0.7", "peer:10.0.0.7"],
  ["peer:64:ff9b:1::10.0.0.7", "peer:64:ff9b:1:0::/64"],
  ["peer:unknown", "peer:unknown"],
  ["peer:", "peer:"],
  ["peer:2001:db8", "peer:2001:db8"],
  ["peer:1::2::3", "peer:1::2::3"],
  ["peer:1:2:3:4:5:6:7:8::", "peer:1:2:3:4:5:6:7:8::"],
  ["peer:1:2:3:4:5:6:7:8:9", "peer:1:2:3:4:5:6:7:8:9"],
  ["peer:2001:db8::12345", "peer:2001:db8::12345"],
  ["peer:2001:db8::g", "peer:2001:db8::g"],
  ["token:https://id.example|2001:db8::7", "token:https://id.example|2001:db8::7"],
])("the limits of %j are those of %j", (key, network) => {
  expect(peerNetworkKey(key)).toBe(network);
});

test("all addresses of a network have one key, however they are written, and no two networks have the same", () => {
  const group = fc.integer({ min: 1, max: 0xffff });
  const network = fc.tuple(group, group, group, group);
  fc.assert(
    fc.property(network, network, network, (one, other, host) => {
      const keyOf = (groups: readonly number[]) =>
        peerNetworkKey(`peer:${groups.map((part) => part.toString(16)).join(":")}`);
      const compressed = peerNetworkKey(
        `peer:${one.map((part) => part.toString(16)).join(":")}::${host[3].toString(16)}`,
      );
      expect(keyOf([...one, ...host])).toBe(compressed);
      expect(keyOf([...one, ...host]) === keyOf([...other, ...host])).toBe(one.join() === other.join());
    }),
  );
});
