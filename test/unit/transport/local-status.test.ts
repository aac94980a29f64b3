import { expect, test } from "vitest";
import { knownDetails } from "../../../src/transport/local-status.ts";

test.each([
  ["No connection established. Last error: null. Resolution note:  ", "No connection established."],
  [
    "No connection established. Last error: null. Resolution note: no such name",
    "No connection established. Resolution note: no such name",
  ],
  [
    "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ",
    "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1.",
  ],
  ["Connection dropped", "Connection dropped"],
])("%o says what is known", (details, known) => {
  expect(knownDetails(details)).toBe(known);
});
