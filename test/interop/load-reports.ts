import { setTimeout as sleep } from "node:timers/promises";
import type { TestOrcaReport } from "./gen/grpc/testing/messages.ts";
import { OrcaLoadReport } from "./gen/xds/data/orca/v3/orca_load_report.ts";
import type { OpenRcaServiceHandlers } from "./gen/xds/service/orca/v3/orca.contract.ts";

/** The trailer under which a call carries its load report (gRFC A51). */
export const LOAD_TRAILER = "endpoint-load-metrics-bin";

/** The report that a case asks for, as the wire has it. */
export function toLoadReport(wanted: TestOrcaReport): OrcaLoadReport {
  const { cpuUtilization, memoryUtilization, requestCost, utilization } = wanted;
  return OrcaLoadReport.create({ cpuUtilization, memUtilization: memoryUtilization, requestCost, utilization });
}

/** A server's load, for those who watch it out of band. */
export class BackendLoad {
  #report = OrcaLoadReport.create();

  set(wanted: TestOrcaReport): void {
    this.#report = toLoadReport(wanted);
  }

  /** Reports the load at once, and again after each interval. */
  handlers(): OpenRcaServiceHandlers {
    const current = () => this.#report;
    return {
      async *streamCoreMetrics({ reportInterval }, { signal }) {
        const intervalMs = Number(reportInterval?.seconds ?? 0n) * 1_000 || 1_000;
        for (;;) {
          yield current();
          await sleep(intervalMs, undefined, { signal });
        }
      },
    };
  }
}
