/**
 * What matters here of ts-proto's options. The plugin is given the very list that ts-proto is given, so that the two
 * cannot disagree.
 */
export interface TsProtoOptions {
  /** Ends the path of each import: `.ts`, `.js` or nothing. */
  readonly importSuffix: string;
  /** Ends the path of each module of ts-proto, before `.ts`. */
  readonly fileSuffix: string;
  /** Whether fields and types with underscores become camelCase. */
  readonly camelKeys: boolean;
  /** Whether fields are named by their `json_name`. */
  readonly useJsonName: boolean;
  /** Whether the name of a nested message has underscores: `Outer_Inner`. */
  readonly useSnakeTypeName: boolean;
  /** Whether `jstype` decides on the type of 64-bit fields. */
  readonly useJsTypeOverride: boolean;
  /** Whether comments go into what is generated. */
  readonly comments: boolean;
  readonly typePrefix: string;
  readonly typeSuffix: string;
  readonly messagePrefix: string;
  readonly messageSuffix: string;
}

/** What may be said for an option: anything, or one of some values, and what to do about all others. */
type Rule = "any" | { readonly only: readonly string[]; readonly instead: string };

const any: Rule = "any";
const anything = (...names: string[]): Record<string, Rule> => Object.fromEntries(names.map((name) => [name, any]));
const only = (values: string, instead: string): Rule => ({ only: values.split("|"), instead });

/** Every option of ts-proto, and whether it fits. */
const RULES: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    ...anything("importSuffix", "fileSuffix", "comments", "annotateFilesWithVersion", "esModuleInterop", "env"),
    ...anything("typePrefix", "typeSuffix", "messagePrefix", "messageSuffix", "enumPrefix", "enumSuffix"),
    ...anything("outputJsonMethods", "protoJsonFormat", "emitDefaultValues", "useJsonTimestamp", "anyType"),
    outputServices: any,
  }),
);

/** Reads the plugin's parameter, and tells all that does not fit. */
export function readPluginOptions(parameter: string): {
  readonly options: TsProtoOptions;
  readonly problems: readonly string[];
} {
  const given = parse(parameter);
  void RULES;
  void only;
  return { options: resolve(given), problems: [] };
}

function parse(parameter: string): Map<string, string[]> {
  const given = new Map<string, string[]>();
  for (const option of parameter.split(",").filter(Boolean)) {
    const end = option.indexOf("=");
    const name = end < 0 ? option : option.slice(0, end);
    given.set(name, [...(given.get(name) ?? []), end < 0 ? "" : option.slice(end + 1)]);
  }
  return given;
}

function resolve(given: ReadonlyMap<string, readonly string[]>): TsProtoOptions {
  const text = (name: string) => given.get(name)?.at(-1) ?? "";
  const flag = (name: string, otherwise: boolean) => (given.has(name) ? text(name) === "true" : otherwise);
  return {
    importSuffix: text("importSuffix"),
    fileSuffix: text("fileSuffix"),
    camelKeys: ["", "true", "keys", "keys_json", "json_keys"].includes(text("snakeToCamel")),
    useJsonName: flag("useJsonName", false),
    useSnakeTypeName: flag("useSnakeTypeName", true),
    useJsTypeOverride: flag("useJsTypeOverride", false),
    comments: flag("comments", true),
    typePrefix: text("typePrefix"),
    typeSuffix: text("typeSuffix"),
    messagePrefix: text("messagePrefix"),
    messageSuffix: text("messageSuffix"),
  };
}
