/** The most that one of JavaScript's 16-bit units takes. */
const MOST_UNIT_BYTES = 9;

/** What stands where a text was cut. */
const CUT = "...";

/**
 * A text as much of which is sent as there is room for, cut between two characters. `grpc-message` is
 * percent-encoded: a space takes three bytes, a Chinese character nine.
 *
 * @param most how many bytes there are for it on the wire, three at least.
 */
export function cutText(text: string, most: number): string {
  if (text.length * MOST_UNIT_BYTES <= most) return text;
  let used = 0;
  let fits = 0;
  let read = 0;
  for (const character of text) {
    if (used + CUT.length <= most) fits = read;
    used += encodeURI(character.toWellFormed()).length;
    if (used > most) return text.slice(0, fits) + CUT;
    read += character.length;
  }
  return text;
}
