import { describe, expect, test } from "vitest";
import { isLoopback } from "../../../src/transport/target.ts";

describe("isLoopback", () => {
  test.each([
    "localhost",
    "localhost:50051",
    "LOCALHOST:50051",
    "shop.localhost:50051",
    "127.0.0.1",
    "127.0.0.1:50051",
    "127.255.0.9:1",
    "::1",
    "[::1]",
    "[::1]:50051",
    "dns:localhost:50051",
    "dns:///localhost:50051",
    "dns://1.1.1.1/localhost:50051",
    "ipv4:127.0.0.1:50051",
    "ipv4:127.0.0.1:1,127.0.0.2:2",
    "ipv6:[::1]:50051",
    "unix:/run/orders.sock",
    "unix:///run/orders.sock",
    "unix:orders.sock",
    "unix-abstract:orders",
  ])("%s stays on this machine", (target) => {
    expect(isLoopback(target)).toBe(true);
  });

  test.each([
    "orders",
    "orders:50051",
    "dns:///orders:50051",
    "10.0.0.7:50051",
    "0.0.0.0:50051",
    "128.0.0.1:50051",
    "127.0.0.1.example.com:50051",
    "127.example.com:50051",
    "1.127.0.0.1:50051",
    "localhost.example.com:50051",
    "notlocalhost:50051",
    "[2001:db8::1]:50051",
    "[::1].example.com:50051",
    "[::]:50051",
    "::",
    "ipv4:127.0.0.1:1,10.0.0.7:1",
    "ipv4:10.0.0.7:1,127.0.0.1:1",
    "ipv4:",
    "dns:///",
    "dns://localhost/orders:50051",
    "xds:///localhost",
    "http://localhost:50051",
    "https://127.0.0.1",
    "consul:///localhost",
    "localhost@orders:50051",
    "unixen:50051",
    "",
    ",",
  ])("%s may leave it", (target) => {
    expect(isLoopback(target)).toBe(false);
  });
});
