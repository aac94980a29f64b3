/** What may be said for an option of ts-proto: anything, or one of some values. */
export type Rule = "any" | { readonly values: readonly string[]; readonly reason?: string };

const flag: Rule = { values: ["true", "false"] };

function oneOf(values: string, reason?: string): Rule {
  return { values: values.split("|"), ...(reason === undefined ? {} : { reason }) };
}

function all(rule: Rule, names: string): (readonly [string, Rule])[] {
  return names.split(" ").map((name) => [name, rule]);
}

/**
 * Every option of ts-proto 2.18 and the values with which contracts compile and run; what is missing here or not
 * among the values is refused. A test generates with each. `outputServices` has rules of its own.
 */
export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...all("any", "importSuffix fileSuffix unrecognizedEnumName unrecognizedEnumValue metadataType"),
  ...all("any", "typePrefix typeSuffix messagePrefix messageSuffix enumPrefix enumSuffix"),
  ...all(flag, "esModuleInterop comments annotateFilesWithVersion globalThisPolyfill bigIntLiteral"),
  ...all(flag, "protoJsonFormat useNumericEnumForJson useJsonWireFormat useJsonName useSnakeTypeName"),
  ...all(flag, "enumsAsLiterals stringEnums constEnums removeEnumPrefix unrecognizedEnum"),
  ...all(flag, "useExactTypes useMapType useReadonlyTypes useUnknownForValue useJsTypeOverride unknownFields"),
  ...all(flag, "outputTypeRegistry outputExtensions usePrototypeForDefaults initializeFieldsAsUndefined"),
  ...all(flag, "disableProto2Optionals disableProto2DefaultValues noDefaultsForOptionals emitImportedFiles"),
  // Of the services that ts-proto prints besides the definitions.
  ...all(flag, "context useContextDataloaders lowerCaseServiceMethods returnObservable addGrpcMetadata"),
  ...all(flag, "addNestjsRestParameter useNestjsFqnServiceName useAbortSignal useAsyncIterable"),
  ["outputClientImpl", oneOf("true|false|grpc-web")],
  ["env", oneOf("node|browser|both")],
  ["snakeToCamel", oneOf("true|false|keys|json|keys_json")],
  ["emitDefaultValues", oneOf("json-methods")],
  ["outputJsonMethods", oneOf("true|false|to-only|from-only")],
  ["outputTypeAnnotations", oneOf("true|false|static-only")],
  ["oneof", oneOf("properties|unions|unions-value")],
  ["anyType", oneOf("@type|typeUrl")],
  ["useDuration", oneOf("duration|string")],
  ["useJsonTimestamp", oneOf("rfc3339|raw")],
  ["useDate", oneOf("date|string|timestamp|true|false", "others need a package or a lib besides")],
  ["forceLong", oneOf("bigint|number|string", "a cursor is no Long")],
  ["useOptionals", oneOf("none|messages|all", "what ts-proto prints with others does not compile")],
  ["useNullAsOptional", oneOf("false", "what ts-proto prints with it does not compile")],
  ["outputSchema", oneOf("false", "what ts-proto prints with it does not compile")],
  ["useMongoObjectId", oneOf("false", "it needs the mongodb package")],
  ["nestJs", oneOf("false", "it leaves out what encodes messages")],
  ["onlyTypes", oneOf("false", "it leaves out what encodes messages")],
  ["outputEncodeMethods", oneOf("true", "contracts encode and decode messages")],
  ["outputPartialMethods", oneOf("true", "contracts take messages in part and complete them")],
  ["exportCommonSymbols", oneOf("true", "contracts import DeepPartial")],
  ["outputIndex", oneOf("false", "contracts import DeepPartial, which it keeps inside")],
  ...all(oneOf("false", "it changes outputServices"), "rpcBeforeRequest rpcAfterResponse rpcErrorHandler"),
]);
