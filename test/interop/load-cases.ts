import { isDeepStrictEqual } from "node:util";
import type { Metadata } from "nice-grpc-common";
import { expect } from "vitest";
import { type ClientCases, requestsOf } from "./expectations.ts";
import { OrcaLoadReport } from "./gen/xds/data/orca/v3/orca_load_report.ts";
import { OpenRcaService } from "./gen/xds/service/orca/v3/orca.contract.ts";
import { LOAD_TRAILER } from "./load-reports.ts";
import type { SuiteClient } from "./suite-client.ts";

const PER_CALL = {
  cpuUtilization: 0.821,
  memoryUtilization: 0.5847,
  requestCost: { cost: 3_456.32 },
  utilization: { util: 0.304_99 },
};

const OUT_OF_BAND = [
  { cpuUtilization: 0.821, memoryUtilization: 0.5847, utilization: { util: 0.304_99 } },
  { cpuUtilization: 0.293_09, memoryUtilization: 0.2, utilization: { util: 0.2039 } },
];

const reported = ({ memoryUtilization, ...rest }: { readonly memoryUtilization: number }) =>
  OrcaLoadReport.create({ ...rest, memUtilization: memoryUtilization });

/** Waits until a server reports some load out of band. */
async function untilReported(client: SuiteClient, load: OrcaLoadReport): Promise<void> {
  const reports = client.open(OpenRcaService).streamCoreMetrics({ reportInterval: { seconds: 1n } });
  for await (const report of reports) if (isDeepStrictEqual(report, load)) return;
}

/** The cases about load reports (ORCA, gRFC A51): per call in a trailer, and out of band. */
export const LOAD_CASES: ClientCases = {
  async orca_per_rpc({ tests }) {
    const trailers: Metadata[] = [];
    await tests.unaryCall({ orcaPerQueryReport: PER_CALL }, { onTrailer: (trailer) => trailers.push(trailer) });
    const [bytes] = trailers.flatMap((trailer) => trailer.getAll(LOAD_TRAILER));
    expect(OrcaLoadReport.decode(bytes as Uint8Array)).toEqual(reported(PER_CALL));
  },

  async orca_oob(client) {
    const requests = requestsOf();
    const responses = client.tests.fullDuplexCall(requests);
    for (const load of OUT_OF_BAND) {
      requests.write({ orcaOobReport: load, responseParameters: [{ size: 1 }] });
      await responses.next();
      await untilReported(client, reported(load));
    }
    requests.end();
    expect(await responses.next()).toEqual({ done: true, value: undefined });
  },
};
