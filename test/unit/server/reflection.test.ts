import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ServerReflectionRequest } from "../../../gen/grpc/reflection/v1/reflection.ts";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import type { Contract } from "../../../src/contract/contract.ts";
import { DescriptorRegistry } from "../../../src/server/descriptor-registry.ts";
import { reflectionHandlers } from "../../../src/server/reflection.ts";

const ordersFile = "shop/orders/v1/orders.proto";
const usersFile = "shop/users/v1/users.proto";
const optionsFile = "bowline/v1/options.proto";
const contracts = [UserService, OrderService];

describe("DescriptorRegistry", () => {
  const registry = new DescriptorRegistry(contracts);

  test.each([
    ["a service", "shop.orders.v1.OrderService", ordersFile],
    ["a method", "shop.orders.v1.OrderService.GetOrder", ordersFile],
    ["a message", "shop.orders.v1.Order", ordersFile],
    ["a field", "shop.orders.v1.Order.total_cents", ordersFile],
    ["an enum", "shop.orders.v1.OrderStatus", ordersFile],
    ["an enum's value", "shop.orders.v1.OrderStatus.ORDER_STATUS_PAID", ordersFile],
    ["another contract's", "shop.users.v1.UserService", usersFile],
    ["what a contract imports", "google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
    ["an extension", "bowline.v1.method", optionsFile],
    ["a message of the options", "bowline.v1.RetryPolicy", optionsFile],
  ])("finds the file of %s", (_, symbol, file) => {
    expect(registry.fileOfSymbol(symbol)).toBe(file);
  });

  test.each([
    "",
    ".",
    "shop",
    "shop.orders.v1",
    "shop.orders.v1.Nothing",
    "shop.orders.v1.Order.nothing",
    "shop.orders.v1.OrderService.getOrder",
    "shop.orders.v1.OrderStatus.NOTHING",
  ])("knows no symbol %j", (symbol) => {
    expect(registry.fileOfSymbol(symbol)).toBeUndefined();
  });

  test("gives a file with all that it imports, imports first", () => {
    const names = [...(registry.closure(ordersFile)?.keys() ?? [])];
    expect(names.at(-1)).toBe(ordersFile);
    expect(names).toEqual(expect.arrayContaining([optionsFile, "google/protobuf/descriptor.proto"]));
    expect(names.indexOf("google/protobuf/descriptor.proto")).toBeLessThan(names.indexOf(optionsFile));
    expect(registry.closure("no/such.proto")).toBeUndefined();
  });

  test("gives files that can be read", () => {
    const bytes = registry.closure(ordersFile)?.get(ordersFile) ?? expect.unreachable();
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    expect(file.service.map(({ name }) => name)).toEqual(["OrderService"]);
  });

  test("finds extensions by their number", () => {
    const numbers = registry.extensionNumbers("google.protobuf.MethodOptions") ?? [];
    expect(numbers.length).toBeGreaterThan(0);
    const files = numbers.map((number) => registry.fileOfExtension("google.protobuf.MethodOptions", number));
    expect(new Set(files)).toEqual(new Set([optionsFile]));
    expect(registry.fileOfExtension("google.protobuf.MethodOptions", 1)).toBeUndefined();
    expect(registry.extensionNumbers("shop.orders.v1.Order")).toEqual([]);
    expect(registry.extensionNumbers("no.Message")).toBeUndefined();
  });

  test("of no contract knows what the server has itself", () => {
    expect(new DescriptorRegistry([]).fileOfSymbol("google.protobuf.Empty")).toBe("google/protobuf/empty.proto");
  });
});

type Asked = NonNullable<ServerReflectionRequest["messageRequest"]>;

/** What a stream of questions is answered with. */
async function ask(...asked: (Asked | undefined)[]) {
  const handlers = reflectionHandlers(() => contracts);
  async function* requests() {
    for (const messageRequest of asked) {
      const base = ServerReflectionRequest.fromPartial({ host: "host" });
      yield { ...base, messageRequest };
    }
  }
  return await Array.fromAsync(handlers.serverReflectionInfo(requests()));
}

describe("reflection", () => {
  const namesOf = (answer: unknown) => {
    const { value } = answer as { value: { fileDescriptorProto: Uint8Array[] } };
    return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  };

  test("lists services by name, and tells each answer what it answers", async () => {
    const [answer] = await ask({ $case: "listServices", value: "*" });
    const service = [{ name: "shop.orders.v1.OrderService" }, { name: "shop.users.v1.UserService" }];
    expect(answer?.messageResponse).toEqual({ $case: "listServicesResponse", value: { service } });
    expect(answer?.validHost).toBe("host");
    expect(answer?.originalRequest?.messageRequest).toEqual({ $case: "listServices", value: "*" });
  });

  test("gives the file that was asked for first, then what it imports", async () => {
    const [answer] = await ask({ $case: "fileContainingSymbol", value: "shop.orders.v1.OrderService" });
    const names = namesOf(answer?.messageResponse);
    expect(names[0]).toBe(ordersFile);
    expect(names).toContain("google/protobuf/timestamp.proto");
  });

  test("sends each import once in a stream, and what is asked for always", async () => {
    const question: Asked = { $case: "fileByFilename", value: ordersFile };
    const [, again] = await ask(question, question);
    expect(namesOf(again?.messageResponse)).toEqual([ordersFile]);
  });

  test("finds extensions", async () => {
    const containingType = "google.protobuf.MethodOptions";
    const [numbers] = await ask({ $case: "allExtensionNumbersOfType", value: containingType });
    const extensionNumbers = new DescriptorRegistry(contracts).extensionNumbers(containingType);
    const value = { baseTypeName: containingType, extensionNumber: extensionNumbers };
    expect(numbers?.messageResponse).toEqual({ $case: "allExtensionNumbersResponse", value });
    const extensionNumber = extensionNumbers?.[0] ?? expect.unreachable();
    const [file] = await ask({ $case: "fileContainingExtension", value: { containingType, extensionNumber } });
    expect(namesOf(file?.messageResponse)[0]).toBe(optionsFile);
  });

  test.each<[Asked | undefined, number, string]>([
    [{ $case: "fileByFilename", value: "no.proto" }, 5, "no file no.proto"],
    [{ $case: "fileContainingSymbol", value: "no.Symbol" }, 5, "no symbol no.Symbol"],
    [
      { $case: "fileContainingExtension", value: { containingType: "a.B", extensionNumber: 7 } },
      5,
      "no extension 7 of a.B",
    ],
    [{ $case: "allExtensionNumbersOfType", value: "a.B" }, 5, "no message a.B"],
    [undefined, 3, "the request asks for nothing"],
  ])("answers %j with an error, and goes on", async (question, errorCode, errorMessage) => {
    const [error, next] = await ask(question, { $case: "listServices", value: "" });
    expect(error?.messageResponse).toEqual({ $case: "errorResponse", value: { errorCode, errorMessage } });
    expect(next?.messageResponse?.$case).toBe("listServicesResponse");
  });

  test("knows services that were added since the last question, even within a stream", async () => {
    const added: Contract[] = [UserService];
    const { serverReflectionInfo } = reflectionHandlers(() => added);
    const asked = { $case: "fileContainingSymbol", value: "shop.orders.v1.OrderService" } as const;
    const answers = serverReflectionInfo(
      (async function* () {
        yield ServerReflectionRequest.fromPartial({ messageRequest: asked });
        added.push(OrderService);
        yield ServerReflectionRequest.fromPartial({ messageRequest: asked });
      })(),
    );
    const [before, after] = await Array.fromAsync(answers);
    expect(before?.messageResponse?.$case).toBe("errorResponse");
    expect(namesOf(after?.messageResponse)[0]).toBe(ordersFile);
  });
});
