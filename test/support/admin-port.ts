import type { Server } from "bowline/server";

/** What an admin port answers. */
export interface Probed {
  readonly code: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Opens a server's admin port, and asks it. */
export async function openAdmin(server: Server): Promise<(path: string, init?: RequestInit) => Promise<Probed>> {
  const port = await server.listenAdmin("127.0.0.1:0");
  return (path, init) => probe(port, path, init);
}

/** Asks an admin port of this machine. */
export async function probe(port: number, path: string, init?: RequestInit): Promise<Probed> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { code: response.status, text: await response.text(), headers: response.headers };
}
