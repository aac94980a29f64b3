import { expect, test } from "vitest";
import { cutText } from "../../../src/core/sent-text.ts";

test.each([
  ["what fits", "abcdef", 6, "abcdef"],
  ["one letter too many", "abcdefg", 6, "abc..."],
  ["a space, which takes three bytes", "a b c", 9, "a b c"],
  ["a space too many", "a b cd", 9, "a b..."],
  ["characters of nine bytes", "界界界", 27, "界界界"],
  ["a character of nine bytes too many", "界界界", 26, "界界..."],
  ["characters of twelve bytes, which are two of JavaScript's", "😀😀", 23, "😀..."],
  ["half a pair, which is sent as U+FFFD", "a\ud800", 10, "a\ud800"],
  ["half a pair too many", "a\ud800", 9, "a..."],
  ["nothing of a character for which there is no room", "界界", 9, "..."],
  ["nothing", "", 3, ""],
])("%s", (_, text, most, expected) => {
  expect(cutText(text, most)).toBe(expected);
});
