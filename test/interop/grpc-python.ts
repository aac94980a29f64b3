import { join } from "node:path";
import { writeDescriptors } from "./descriptors.ts";
import { installOnce, runProgram, startServer } from "./programs.ts";
import type { Peer } from "./smoke.ts";
import { VERSIONS } from "./versions.ts";

/** What must be on the PATH to run grpcio, which is installed out of python/requirements.txt. */
export const PYTHON = { name: "python3", install: "Python 3.10 or later with venv, such as apt install python3-venv" };

const sources = join(import.meta.dirname, "python");

/**
 * Installs grpcio into an environment of its own.
 *
 * @throws Error with what pip says, such as when its registry cannot be reached.
 */
export async function installGrpcPython(): Promise<Peer> {
  const folder = await installOnce(`grpcio-${VERSIONS.grpcio}`, ["python/requirements.txt"], async (environment) => {
    await runProgram("python3", ["-m", "venv", environment]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    const requirements = ["-r", join(sources, "requirements.txt")];
    await runProgram(join(environment, "bin/python"), [...pip, ...requirements], { timeoutMs: 300_000 });
  });
  const python = join(folder, "bin/python");
  const image = join(folder, "suite.binpb");
  await writeDescriptors(image);
  return {
    async runClient(name, port) {
      await runProgram(python, [join(sources, "client.py"), image, String(port), name]);
    },
    startServer: (port) => startServer(python, [join(sources, "server.py"), image, String(port)], port),
  };
}
