import type { Server } from "bowline/server";
import type { Place } from "./settings.ts";

/**
 * Serves until SIGTERM or Ctrl-C comes, or until the process that started this one is gone; then drains and
 * exits: with 0, or with 1 if a call had to be broken off.
 *
 * @param end closes what handlers use; called when no handler runs any more.
 */
export async function serve(server: Server, place: Place, end: () => Promise<void>): Promise<void> {
  const port = await listen(server, place);
  // For probes over HTTP. In a cluster it would be a port of its own that is known, and not on loopback.
  const admin = await server.listenAdmin("127.0.0.1:0");
  let ending = false;
  const stop = async () => {
    if (ending) return;
    ending = true;
    const { abandoned } = await server.drain();
    await end();
    process.exit(abandoned === 0 ? 0 : 1);
  };
  process.on("SIGTERM", stop);
  if (process.send) {
    process.on("disconnect", stop);
    // Ctrl-C reaches every process of the terminal; whoever started this one says when it ends.
    process.on("SIGINT", () => {});
    if (!process.connected) return stop();
    process.send({ type: "ready", port, admin });
  } else {
    process.on("SIGINT", stop);
    console.log(`${place.service}: 127.0.0.1:${port}, until Ctrl-C; http://127.0.0.1:${admin}/readyz?verbose`);
  }
}

async function listen(server: Server, { service, port, variable }: Place): Promise<number> {
  try {
    return await server.listen(`127.0.0.1:${port}`);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    console.error(
      /EADDRINUSE/.test(text)
        ? `${service}: port ${port} is taken; choose another one with ${variable}`
        : `${service}: cannot listen on port ${port} (${variable}): ${text}`,
    );
    process.exit(1);
  }
}
