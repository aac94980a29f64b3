import { buildGrpcGo } from "./grpc-go.ts";
import { installGrpcJava } from "./grpc-java.ts";
import { installGrpcPython } from "./grpc-python.ts";

const INSTALL: Readonly<Record<string, () => Promise<unknown>>> = {
  "grpc-go": async () => [await buildGrpcGo("client"), await buildGrpcGo("server")],
  grpcio: installGrpcPython,
  "grpc-java": installGrpcJava,
};

// Ahead of the tests, which would install it themselves: node test/interop/install.ts grpc-go
const [name = ""] = process.argv.slice(2);
const install = INSTALL[name];
if (!install) throw new Error(`install.ts takes one of ${Object.keys(INSTALL).join(", ")}; it was given "${name}"`);
await install();
