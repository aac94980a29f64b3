/** Where lines are broken. */
export const LINE_WIDTH = 120;

/** Moves a text to the right, but for lines that are empty. */
export function indent(text: string, by: number): string {
  return text.replace(/^(?=.)/gm, " ".repeat(by));
}

/** Entries between brackets, one per line. */
export function printLines(open: string, entries: readonly string[], close: string): string {
  return `${open}\n${entries.map((entry) => `${indent(entry, 2)},\n`).join("")}${close}`;
}

/** An object literal with an entry per line. */
export function printObject(entries: readonly string[]): string {
  return entries.length === 0 ? "{}" : printLines("{", entries, "}");
}

/** A method of an interface that is indented by two. */
export function printSignature(name: string, parameters: readonly string[], result: string): string {
  const flat = `${name}(${parameters.join(", ")}): ${result};`;
  return 2 + flat.length <= LINE_WIDTH ? flat : `${name}${printLines("(", parameters, ")")}: ${result};`;
}

/** A parameter of such a method, whose type has arguments; on a line of its own. */
export function printTyped(declaration: string, typeArguments: readonly string[]): string {
  const flat = `${declaration}<${typeArguments.join(", ")}>`;
  if (4 + flat.length + ",".length <= LINE_WIDTH) return flat;
  return `${declaration}<\n${typeArguments.map((type) => `  ${type}`).join(",\n")}\n>`;
}

/** A constant whose type has arguments; what follows it begins on the same line as the type ends. */
export function printConstant(declaration: string, typeArguments: readonly string[], value: string): string {
  const [firstLine = ""] = value.split("\n", 1);
  const flat = `${declaration}<${typeArguments.join(", ")}> = `;
  if (flat.length + firstLine.length <= LINE_WIDTH) return `${flat}${value};\n`;
  return `${declaration}<\n${typeArguments.map((type) => `  ${type}`).join(",\n")}\n> = ${value};\n`;
}
