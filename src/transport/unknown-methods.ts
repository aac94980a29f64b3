import type { Server as GrpcServer } from "@grpc/grpc-js";

/** A method as grpc-js's server keeps it. */
export interface GrpcHandler {
  readonly func: unknown;
  readonly serialize: (bytes: Uint8Array) => Buffer;
  readonly deserialize: (bytes: Buffer) => unknown;
  readonly path: string;
  readonly type: "unary";
}

/** What grpc-js's server looks a call's method up with: it answers UNIMPLEMENTED where there is none. */
interface Lookup {
  _retrieveHandler(path: string): unknown;
}

/**
 * Has a server serve calls of methods that were not registered, for which grpc-js has no hook.
 *
 * @throws TypeError if this version of grpc-js looks methods up in another way.
 */
export function answerUnknown(server: GrpcServer, make: (path: string) => GrpcHandler): void {
  const lookup = server as unknown as Lookup;
  const find = lookup._retrieveHandler;
  if (typeof find !== "function") throw new TypeError("this version of grpc-js does not let unknown methods be served");
  lookup._retrieveHandler = (path) => find.call(server, path) ?? make(path);
}
