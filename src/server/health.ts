import type { CallContext } from "../core/call-context.ts";
import { fail } from "../core/errors.ts";

/** What a service can be, in the words of gRPC's health protocol. */
export type ServingStatus = "SERVING" | "NOT_SERVING";

/** The numbers of `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const NUMBERS = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** gRFC A90: a list longer than this is refused. */
const MOST_LISTED = 100;

/** How healthy a server's services are. `""` stands for the server as a whole. */
export class Health {
  readonly #statuses = new Map<string, ServingStatus>([["", "SERVING"]]);
  readonly #watchers = new Map<string, Set<() => void>>();
  #shutDown = false;

  /** Sets a service's status, and tells whoever watches it. Without effect once the server drains. */
  set(service: string, status: ServingStatus): void {
    if (this.#shutDown || this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    this.#wake(service);
  }

  /** A service's status, or undefined if the server does not know it. */
  get(service: string): ServingStatus | undefined {
    return this.#statuses.get(service);
  }

  /** Every service with its status. */
  list(): ReadonlyMap<string, ServingStatus> {
    return this.#statuses;
  }

  /** Says NOT_SERVING of everything from now on. */
  shutDown(): void {
    for (const service of this.#statuses.keys()) this.set(service, "NOT_SERVING");
    this.#shutDown = true;
  }

  /** Resolves when a service's status changes, or the signal aborts. */
  changed(service: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(service) ?? new Set();
      this.#watchers.set(service, watchers);
      const wake = () => {
        watchers.delete(wake);
        if (watchers.size === 0) this.#watchers.delete(service);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      watchers.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  #wake(service: string): void {
    for (const wake of [...(this.#watchers.get(service) ?? [])]) wake();
  }
}

/** Handlers of `grpc.health.v1.Health`. */
export function healthHandlers(health: Health) {
  return {
    async check({ service }: { service: string }) {
      const status = health.get(service);
      if (!status) fail("NOT_FOUND", `unknown service ${JSON.stringify(service)}`);
      return { status: NUMBERS[status] };
    },
    async list() {
      const all = [...health.list()];
      if (all.length > MOST_LISTED) fail("RESOURCE_EXHAUSTED", `more than ${MOST_LISTED} services`);
      return { statuses: Object.fromEntries(all.map(([service, status]) => [service, { status: NUMBERS[status] }])) };
    },
    async *watch({ service }: { service: string }, context: CallContext) {
      let told: string | undefined;
      while (!context.signal.aborted) {
        const status = health.get(service) ?? "SERVICE_UNKNOWN";
        if (status === told) await health.changed(service, context.signal);
        else yield { status: NUMBERS[status] };
        told = status;
      }
    },
  };
}
