/** Longer texts, such as a query with all its values, are cut off; in characters. */
const LONGEST = 500;

/** What an error says, in one line. Node's own, of a host with several addresses, have a code and no text. */
export function errorText(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message || codeOf(error) || error.name : String(error);
    const line = text
      .slice(0, LONGEST)
      .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
      .trim();
    return text.length > LONGEST ? `${line}…` : line || "it says nothing";
  } catch {
    return "an error that has no text";
  }
}

function codeOf(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  return code === undefined ? "" : String(code);
}
