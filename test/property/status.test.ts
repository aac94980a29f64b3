import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStatusName, Status, type StatusName } from "../../src/core/status.ts";

const names = Object.keys(Status) as StatusName[];

test("parseStatusName reads every status in any case, with space around it, or by its number", () => {
  const cases = fc.tuple(fc.constantFrom(...names), fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }));
  fc.assert(
    fc.property(cases, fc.constantFrom("", " ", "\t"), ([name, upper], space) => {
      const mixed = [...name].map((letter, at) => (upper[at] ? letter : letter.toLowerCase())).join("");
      expect(parseStatusName(`${space}${mixed}${space}`)).toBe(name);
      expect(parseStatusName(Status[name])).toBe(name);
      expect(parseStatusName(String(Status[name]))).toBe(name);
    }),
  );
});

test("parseStatusName gives nothing but statuses, whatever the text", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.integer(), fc.double()), (text) => {
      expect([undefined, ...names]).toContain(parseStatusName(text));
    }),
  );
});
