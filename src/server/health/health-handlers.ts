import type { CallContext } from "../../core/call-context.ts";
import { fail } from "../../core/errors.ts";
import type { Health } from "./health.ts";

/** The numbers of `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const NUMBERS = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** gRFC A90: a list longer than this is refused. */
const MOST_LISTED = 100;

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
