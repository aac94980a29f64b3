import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { CredentialError } from "../../../src/core/credential-error.ts";
import type { PeerCertificate } from "../../../src/core/identity.ts";
import type { UnidentifiedCall } from "../../../src/server/authentication/authenticator.ts";
import { type MtlsOptions, mtls } from "../../../src/server/authentication/mtls.ts";
import { alternativeNames } from "../../../src/transport/peer-certificate.ts";
import { aMethod } from "../../support/scripted.ts";

const nobody = { commonName: undefined, uris: [], dnsNames: [], thumbprint: "t", serialNumber: "1", validTo: 9e15 };

/** A call over a connection with such a certificate. */
function aCall(names: Partial<PeerCertificate> | undefined): UnidentifiedCall {
  return {
    metadata: new Metadata(),
    peer: "10.0.0.7:5123",
    certificate: names && { ...nobody, ...names },
    method: aMethod(),
    signal: new AbortController().signal,
  };
}

describe("who a certificate names", () => {
  test.each<[Partial<PeerCertificate>, MtlsOptions, string]>([
    [{ uris: ["spiffe://shop.example/orders"] }, {}, "certificate:spiffe://shop.example/orders"],
    [{ uris: ["spiffe://shop.example"], dnsNames: ["a.b"] }, {}, "certificate:spiffe://shop.example"],
    [
      { uris: ["spiffe://shop.example/a"] },
      { trustDomains: ["x", "shop.example"] },
      "certificate:spiffe://shop.example/a",
    ],
    [{ dnsNames: ["Users.Test", "b"] }, {}, "certificate:dns:users.test"],
    [{ uris: ["https://shop.example"], dnsNames: ["users.test"] }, {}, "certificate:dns:users.test"],
    [{ commonName: "users" }, { commonName: true }, "certificate:cn:users"],
    [
      { commonName: "spiffe://shop.example/orders" },
      { commonName: true },
      "certificate:cn:spiffe://shop.example/orders",
    ],
  ])("%j with %j is %s", async (names, options, key) => {
    const found = await mtls(options)(aCall(names));
    expect(found).toMatchObject({ identity: { key, source: "certificate", scopes: [] }, expiresAt: 9e15 });
  });

  test.each<[Partial<PeerCertificate>, MtlsOptions, string]>([
    [{}, {}, "a certificate that names nobody"],
    [{ dnsNames: ["users.test"], validTo: 1_000 }, {}, "an expired certificate"],
    [{ commonName: "users" }, {}, "a certificate that names nobody"],
    [{ dnsNames: ["users.test"] }, { trustDomains: ["shop.example"] }, "a certificate without a SPIFFE ID"],
    [{ uris: ["spiffe://other.example/a"] }, { trustDomains: ["shop.example"] }, "a SPIFFE ID of another trust domain"],
    ...[
      ["spiffe://shop.example/a", "spiffe://shop.example/b"],
      ["https://a", "spiffe://shop.example/a"],
      ["spiffe://shop.example/a/../b"],
      ["spiffe://shop.example/."],
      ["spiffe://shop.example//a"],
      ["spiffe://shop.example/"],
      ["spiffe://shop.example:80/a"],
      ["spiffe://SHOP.example/a"],
      ["spiffe://shop.example/a?b"],
      ["spiffe://"],
      ["spiffe:shop.example"],
    ].map((uris): [Partial<PeerCertificate>, MtlsOptions, string] => [
      { uris },
      {},
      "a certificate with no valid SPIFFE ID",
    ]),
  ])("%j with %j: %s", (names, options, problem) => {
    const authenticate = mtls(options);
    expect(() => authenticate(aCall(names))).toThrow(CredentialError);
    expect(() => authenticate(aCall(names))).toThrow(problem);
  });

  test("nobody where there is no certificate", async () => {
    expect(await mtls()(aCall(undefined))).toBeUndefined();
  });

  test("scopes are what the server says", async () => {
    const scopes = (_certificate: PeerCertificate, name: string) => [`of ${name}`];
    const found = await mtls({ scopes })(aCall({ dnsNames: ["users.test"] }));
    expect(found?.identity.scopes).toEqual(["of users.test"]);
  });
});

test.each<[MtlsOptions, string]>([
  [
    { trustDomains: ["spiffe://a"], commonName: 1 as never, scopes: [] as never },
    "mtls: trustDomains must be an array of trust domains without spiffe://, such as shop.example; it is spiffe://a; " +
      "commonName must be true or false; it is 1; scopes must be a function; it is ",
  ],
  [{ trustDomain: "a" } as never, "mtls: there is no option trustDomain; there are trustDomains, commonName, scopes"],
])("refuses %j, all at once", (options, message) => {
  expect(() => mtls(options)).toThrow(new TypeError(message));
});

test.each<[string, (readonly [string, string])[]]>([
  ["", []],
  ["URI:spiffe://test/client", [["URI", "spiffe://test/client"]]],
  [
    "DNS:a, DNS:b, IP Address:127.0.0.1",
    [
      ["DNS", "a"],
      ["DNS", "b"],
      ["IP Address", "127.0.0.1"],
    ],
  ],
  [
    'DNS:"a, URI:spiffe://test/root", DNS:b',
    [
      ["DNS", "a, URI:spiffe://test/root"],
      ["DNS", "b"],
    ],
  ],
  ['URI:"a\\"b"', [["URI", 'a"b']]],
])("names in %s", (text, names) => {
  expect(alternativeNames(text)).toEqual(names);
});
