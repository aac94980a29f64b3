/** The process that a fault proxy runs in. It needs nothing but Node and the files beside it. */
import { inspect } from "node:util";
import { machineNow } from "./machine-clock.ts";
import type { Numbered, Start, Told } from "./messages.ts";
import { ProxyServer } from "./proxy-server.ts";

function tell(told: Told): void {
  // Nobody is there to be told that nobody is there.
  if (process.connected) process.send?.(told, () => {});
}

async function start({ target, seed, rules, originMs }: Start): Promise<void> {
  const proxy = await ProxyServer.listen({
    target,
    seed,
    rules,
    now: () => machineNow() - originMs,
    onUnseen: () =>
      tell({
        type: "warning",
        text: "a connection that is not plaintext HTTP/2 came: rules for calls do not apply to it",
      }),
  });
  process.on("message", (request: Numbered) => answer(proxy, request));
  tell({ type: "listening", port: proxy.port });
}

function answer(proxy: ProxyServer, request: Numbered): void {
  const { id } = request;
  if (request.type === "seen") return tell({ type: "reply", id, seen: proxy.log.seen() });
  if (request.type === "script") proxy.script(request.rules);
  else proxy.log.forget();
  tell({ type: "reply", id });
}

// Its parent ends it; a Ctrl-C goes to both, and the parent may have work to finish.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());
// One connection's trouble must not take the others down, nor be hidden.
process.on("uncaughtException", (error) => tell({ type: "warning", text: inspect(error) }));
process.once("message", (message) => {
  start(message as Start).catch((error) => {
    process.stderr.write(inspect(error));
    process.exitCode = 1;
    process.disconnect();
  });
});
