/**
 * Prints a doc comment from a comment in a .proto file.
 *
 * @returns lines that each end in a line break; nothing if there is nothing to say
 */
export function printComment(comment: string, deprecated: boolean): string {
  const lines = [...textLines(comment), ...(deprecated ? ["@deprecated"] : [])];
  if (lines.length === 0) return "";
  if (lines.length === 1) return `/** ${lines[0]} */\n`;
  return `/**\n${lines.map((line) => ` *${line && " "}${line}\n`).join("")} */\n`;
}

function textLines(comment: string): string[] {
  const text = comment
    .replaceAll("*/", "* /")
    .replace(/^\s*\*/, "")
    .trim();
  return text ? text.split("\n").map((line) => line.replace(/^ /, "").trimEnd()) : [];
}
