/**
 * Prints a doc comment from a comment in a .proto file.
 *
 * @param indent how far it is indented
 * @returns lines that each end in a line break; nothing if there is nothing to say
 */
export function printComment(comment: string, deprecated: boolean, indent: number): string {
  const lines = [...textLines(comment), ...(deprecated ? ["@deprecated"] : [])];
  const margin = " ".repeat(indent);
  const [only] = lines;
  if (only === undefined) return "";
  if (lines.length === 1) return `${margin}/** ${only} */\n`;
  return `${margin}/**\n${lines.map((line) => `${margin} *${line && " "}${line}\n`).join("")}${margin} */\n`;
}

function textLines(comment: string): string[] {
  const text = comment
    .replaceAll("*/", "* /")
    .replace(/^\s*\*/, "")
    .trim();
  return text ? text.split("\n").map((line) => line.replace(/^ /, "").trimEnd()) : [];
}
