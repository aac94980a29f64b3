import type { DescFile } from "@bufbuild/protobuf";
import type {
  ErrorResponse,
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection.ts";
import type { Contract } from "../contract/contract.ts";
import { Status } from "../core/status.ts";
import { DescriptorRegistry } from "./descriptor-registry.ts";

type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;

/**
 * Handlers of `grpc.reflection.v1` and `v1alpha`, whose messages are the same.
 *
 * @param contracts the server's contracts, asked for at each question: services may be added at any time.
 * @param others files that the contracts may import and do not carry. Default: none.
 */
export function reflectionHandlers(contracts: () => readonly Contract[], others: readonly DescFile[] = []) {
  const registryOf = registries(others);
  return {
    async *serverReflectionInfo(
      requests: AsyncIterable<ServerReflectionRequest>,
    ): AsyncIterable<ServerReflectionResponse> {
      const sent = new Set<string>();
      for await (const request of requests) {
        const served = contracts();
        const messageResponse = answer(request, registryOf(served), served, sent);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };
}

/** Makes a registry for the first question, and anew after services were added; none is ever taken away. */
function registries(others: readonly DescFile[]): (contracts: readonly Contract[]) => DescriptorRegistry {
  let made: { readonly count: number; readonly registry: DescriptorRegistry } | undefined;
  return (contracts) => {
    if (made?.count !== contracts.length) {
      made = { count: contracts.length, registry: new DescriptorRegistry(contracts, others) };
    }
    return made.registry;
  };
}

function answer(
  { messageRequest: asked }: ServerReflectionRequest,
  registry: DescriptorRegistry,
  contracts: readonly Contract[],
  sent: Set<string>,
): Answer {
  switch (asked?.$case) {
    case "fileByFilename":
      return files(registry, asked.value, sent, `no file ${asked.value}`);
    case "fileContainingSymbol":
      return files(registry, registry.fileOfSymbol(asked.value), sent, `no symbol ${asked.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = asked.value;
      const file = registry.fileOfExtension(containingType, extensionNumber);
      return files(registry, file, sent, `no extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = registry.extensionNumbers(asked.value);
      if (!extensionNumber) return failure(Status.NOT_FOUND, `no message ${asked.value}`);
      return { $case: "allExtensionNumbersResponse", value: { baseTypeName: asked.value, extensionNumber } };
    }
    case "listServices": {
      const service = contracts.map(({ name }) => ({ name })).sort((a, b) => (a.name < b.name ? -1 : 1));
      return { $case: "listServicesResponse", value: { service } };
    }
    default:
      return failure(Status.INVALID_ARGUMENT, "the request asks for nothing");
  }
}

/** The file and what it imports, without what this stream was sent already. */
function files(registry: DescriptorRegistry, name: string | undefined, sent: Set<string>, missing: string): Answer {
  const closure = name === undefined ? undefined : registry.closure(name);
  if (!closure || name === undefined) return failure(Status.NOT_FOUND, missing);
  // The file that was asked for always comes, and first: clients look for it there.
  const fresh = [...closure.keys()].filter((file) => file !== name && !sent.has(file));
  const fileDescriptorProto = [name, ...fresh].flatMap((file) => closure.get(file) ?? []);
  for (const file of closure.keys()) sent.add(file);
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: number, errorMessage: string): { $case: "errorResponse"; value: ErrorResponse } {
  return { $case: "errorResponse", value: { errorCode, errorMessage } };
}
