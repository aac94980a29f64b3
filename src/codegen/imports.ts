import { LINE_WIDTH, printLines } from "./layout.ts";

interface Import {
  readonly name: string;
  readonly alias: string;
  readonly isType: boolean;
}

/** The imports of a module that is being printed. No two names in it collide: what comes later gets another one. */
export class Imports {
  readonly #modules = new Map<string, Import[]>();
  readonly #taken: Set<string>;

  /** @param taken the names that the module needs for itself, and those of globals that it uses. */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /**
   * Imports a type; returns what it is called in the module.
   *
   * @param suffix goes onto the name if that is taken
   */
  type(name: string, from: string, suffix = ""): string {
    return this.#add(name, from, true, suffix);
  }

  /** Imports a value; returns what it is called in the module. */
  value(name: string, from: string): string {
    return this.#add(name, from, false, "");
  }

  /** A name for something of the module's own: `name`, or if that is taken `nameSuffix`, `nameSuffix2` … */
  free(name: string, suffix = ""): string {
    let free = name;
    for (let count = suffix ? 1 : 2; this.#taken.has(free); count++) free = name + suffix + (count > 1 ? count : "");
    this.#taken.add(free);
    return free;
  }

  /** The import declarations: packages before files, the names in alphabetical order. */
  print(): string {
    return [...this.#modules]
      .toSorted(([a], [b]) => compareModules(a, b))
      .map(([from, imports]) => printImport(from, imports))
      .join("");
  }

  #add(name: string, from: string, isType: boolean, suffix: string): string {
    const imports = this.#modules.get(from) ?? [];
    const known = imports.find((entry) => entry.name === name);
    if (known) return known.alias;
    const alias = this.free(name, suffix);
    this.#modules.set(from, [...imports, { name, alias, isType }]);
    return alias;
  }
}

function printImport(from: string, imports: readonly Import[]): string {
  const keyword = imports.every(({ isType }) => isType) ? "import type" : "import";
  const names = imports.toSorted(byName).map(({ name, alias, isType }) => {
    const type = isType && keyword === "import" ? "type " : "";
    return `${type}${name}${alias === name ? "" : ` as ${alias}`}`;
  });
  const flat = `${keyword} { ${names.join(", ")} } from "${from}";`;
  return flat.length <= LINE_WIDTH ? `${flat}\n` : `${keyword} ${printLines("{", names, "}")} from "${from}";\n`;
}

function compareModules(a: string, b: string): number {
  return Number(a.startsWith(".")) - Number(b.startsWith(".")) || compare(a, b);
}

function byName(a: Import, b: Import): number {
  return compare(a.alias.toLowerCase(), b.alias.toLowerCase()) || compare(a.alias, b.alias);
}

/** Not `localeCompare`: what is generated must not depend on the machine. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
