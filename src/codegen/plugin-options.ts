import { RULES, type Rule } from "./ts-proto-rules.ts";

/**
 * What matters here of ts-proto's options. The plugin is given the very list that ts-proto is given, so that the two
 * cannot disagree.
 */
export interface TsProtoOptions {
  /** Ends the path of each import: `.ts`, `.js` or nothing. Default: nothing. */
  readonly importSuffix: string;
  /** Ends the path of each of ts-proto's modules, before `.ts`. Default: nothing. */
  readonly fileSuffix: string;
  /** Whether fields and types with underscores become camelCase. Default: true. */
  readonly camelKeys: boolean;
  /** Whether fields are named by their `json_name`. Default: false. */
  readonly useJsonName: boolean;
  /** Whether the type of a nested message has an underscore: `Outer_Inner`. Default: true. */
  readonly useSnakeTypeName: boolean;
  /** Whether `jstype` decides on the type of 64-bit fields. Default: false. */
  readonly useJsTypeOverride: boolean;
  /** Whether the fields of a oneof are one, which says what it is. Default: false. */
  readonly oneofUnions: boolean;
  /** Whether comments go into what is generated. Default: true. */
  readonly comments: boolean;
  /** What goes around the names of types, of messages and of enums. Default: nothing. */
  readonly typePrefix: string;
  readonly typeSuffix: string;
  readonly messagePrefix: string;
  readonly messageSuffix: string;
  readonly enumPrefix: string;
  readonly enumSuffix: string;
}

const ALTERNATIVES = new Intl.ListFormat("en", { type: "disjunction" });

type Given = ReadonlyMap<string, readonly string[]>;

/** Reads the plugin's parameter, and tells, a line each, all that does not fit. */
export function readPluginOptions(parameter: string): {
  readonly options: TsProtoOptions;
  readonly problems: readonly string[];
} {
  const given = parse(parameter);
  const problems = [...[...given].flatMap(([name, values]) => check(name, values)), ...checkServices(given)];
  return { options: resolve(given), problems: problems.map((problem) => `protoc-gen-bowline: opt ${problem}`) };
}

function parse(parameter: string): Given {
  const given = new Map<string, string[]>();
  for (const option of parameter.split(",").filter(Boolean)) {
    const [name = "", ...value] = option.split("=");
    given.set(name, [...(given.get(name) ?? []), value.join("=")]);
  }
  return given;
}

function check(name: string, values: readonly string[]): string[] {
  if (name === "outputServices") return [];
  const rule = RULES.get(name);
  if (!rule) return [`${name}: leave it out: ts-proto has no option of this name that fits`];
  if (values.length > 1) return [`${name}: is given ${values.length} times; once is enough`];
  return values.filter((value) => !allows(rule, value)).map((value) => `${name}=${value}: ${instead(name, rule)}`);
}

function allows(rule: Rule, value: string): boolean {
  return rule === "any" || rule.values.includes(value);
}

function instead(name: string, rule: Rule): string {
  if (rule === "any") return "";
  const settings = rule.values.map((value) => `${name}=${value}`);
  const advice = settings.length > 1 ? `say ${ALTERNATIVES.format(settings)}` : "leave it out";
  return rule.reason ? `${advice}: ${rule.reason}` : advice;
}

/** ts-proto's own services beside its definitions; those it prints else need packages besides. */
const BESIDE = ["nice-grpc", "grpc-js"];

function checkServices(given: Given): string[] {
  const services = given.get("outputServices") ?? [];
  if (!services.includes("generic-definitions")) {
    return [
      "outputServices: say outputServices=generic-definitions too: contracts are made from ts-proto's definitions",
    ];
  }
  if (services.length > 2) return ["outputServices: is given more than twice, of which ts-proto heeds the last alone"];
  const others = services.filter((service) => service !== "generic-definitions" && !BESIDE.includes(service));
  return others.map((service) => `outputServices=${service}: leave it out, or say ${BESIDE.join(" or ")}`);
}

function resolve(given: Given): TsProtoOptions {
  const text = (name: string, otherwise = "") => given.get(name)?.at(-1) ?? otherwise;
  return {
    importSuffix: text("importSuffix"),
    fileSuffix: text("fileSuffix"),
    camelKeys: /true|keys/.test(text("snakeToCamel", "true")),
    useJsonName: text("useJsonName") === "true",
    useSnakeTypeName: text("useSnakeTypeName") !== "false",
    useJsTypeOverride: text("useJsTypeOverride") === "true",
    oneofUnions: text("oneof").startsWith("unions"),
    comments: text("comments") !== "false",
    typePrefix: text("typePrefix"),
    typeSuffix: text("typeSuffix"),
    messagePrefix: text("messagePrefix"),
    messageSuffix: text("messageSuffix"),
    enumPrefix: text("enumPrefix"),
    enumSuffix: text("enumSuffix"),
  };
}
