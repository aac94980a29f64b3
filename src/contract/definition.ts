import { type Codec, type Method, methodKind, noMessage } from "../core/method.ts";

/** A message type as ts-proto prints it. */
export interface MessageType<Message = unknown> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
  fromPartial?(object: never): Message;
}

/** A method as ts-proto's `generic-definitions` prints it. */
export interface MethodDefinition {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a definition is taken whatever its messages are
  readonly requestType: MessageType<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: a definition is taken whatever its messages are
  readonly responseType: MessageType<any>;
  readonly responseStream: boolean;
  readonly options: {
    readonly idempotencyLevel?: "IDEMPOTENT" | "NO_SIDE_EFFECTS";
    /** The bytes of all other options, unless ts-proto is kept from seeing them. */
    readonly _unknownFields?: unknown;
  };
}

/** A service as ts-proto's `generic-definitions` prints it. */
export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** One method of a definition, as the pipeline sees it. */
export function toMethod(service: ServiceDefinition, definition: MethodDefinition): Method {
  return {
    path: `/${service.fullName}/${definition.name}`,
    service: service.fullName,
    name: definition.name,
    kind: methodKind(definition.requestStream, definition.responseStream),
    requestStream: definition.requestStream,
    responseStream: definition.responseStream,
    idempotency: definition.options.idempotencyLevel ?? "UNKNOWN",
    request: toCodec(definition.requestType),
    response: toCodec(definition.responseType),
  };
}

function toCodec(type: MessageType): Codec {
  const complete = type.fromPartial as ((object: unknown) => unknown) | undefined;
  return {
    encode(message) {
      // Of a number, ts-proto makes an empty message.
      const what = noMessage(message);
      if (what !== undefined) throw new TypeError(`${what} is no message`);
      return type.encode(complete ? complete(message) : message).finish();
    },
    decode: (bytes) => type.decode(bytes),
    complete,
  };
}
