import { setTimeout as sleep } from "node:timers/promises";
import { fail } from "bowline";
import { type CallContext, type Contract, contract } from "bowline/runtime/v1";
import { type Authenticator, createServer, type ListenOptions, type Server } from "bowline/server";
import type {
  EchoStatus,
  SimpleRequest,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "./gen/grpc/testing/messages.ts";
import { TestService, type TestServiceHandlers } from "./gen/grpc/testing/test.contract.ts";
import { OrcaLoadReport } from "./gen/xds/data/orca/v3/orca_load_report.ts";
import { OpenRcaService } from "./gen/xds/service/orca/v3/orca.contract.ts";
import { BackendLoad, LOAD_TRAILER, toLoadReport } from "./load-reports.ts";

/** What is echoed as a header, and as a trailer. */
export const ECHOED = { header: "x-grpc-test-echo-initial", trailer: "x-grpc-test-echo-trailing-bin" };

/**
 * Serves the suite's service with Bowline.
 *
 * @param authenticate for the cases with credentials. Default: nobody is asked who calls.
 */
export async function serveSuite(
  options: ListenOptions,
  authenticate: readonly Authenticator[] = [],
): Promise<{ readonly server: Server; readonly port: number }> {
  const load = new BackendLoad();
  const server = createServer({ drainOn: [], authenticate: authenticate.length > 0 ? authenticate : false })
    .add(Served, handlers(load))
    .add(OpenRcaService, load.handlers());
  return { server, port: await server.listen("127.0.0.1:0", options) };
}

const { unimplementedCall: _, ...served } = TestService.definition.methods;

/** All methods but the one that a server is not to have. */
type SuiteHandlers = Omit<TestServiceHandlers, "unimplementedCall">;

/** The service without it, for callers who are known wherever it is asked who calls. */
const Served: Contract<typeof TestService.definition, unknown, SuiteHandlers> = contract({
  ...TestService,
  definition: { ...TestService.definition, methods: served } as never,
  service: { auth: { scopes: [] } },
});

function handlers(load: BackendLoad): SuiteHandlers {
  return {
    emptyCall: async () => ({}),
    async unaryCall(request, context) {
      echo(context);
      refuseIfAsked(request.responseStatus);
      reportLoad(request, context);
      return {
        payload: { body: zeros(request.responseSize) },
        username: request.fillUsername ? (context.identity.subject ?? "") : "",
        serverId: request.fillServerId ? `bowline-${process.pid}` : "",
      };
    },
    async cacheableUnaryCall() {
      return { payload: { body: Buffer.from(String(process.hrtime.bigint())) } };
    },
    async streamingInputCall(requests) {
      let aggregatedPayloadSize = 0;
      for await (const { payload } of requests) aggregatedPayloadSize += payload?.body.byteLength ?? 0;
      return { aggregatedPayloadSize };
    },
    streamingOutputCall: (request, { signal }) => responses(request, signal),
    async *fullDuplexCall(requests, context) {
      echo(context);
      for await (const request of requests) {
        refuseIfAsked(request.responseStatus);
        if (request.orcaOobReport) load.set(request.orcaOobReport);
        yield* responses(request, context.signal);
      }
    },
    async *halfDuplexCall(requests, { signal }) {
      const all = await Array.fromAsync(requests);
      for (const request of all) yield* responses(request, signal);
    },
  };
}

async function* responses(
  { responseParameters }: StreamingOutputCallRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamingOutputCallResponse, void> {
  for (const { size, intervalUs } of responseParameters) {
    if (intervalUs > 0) await sleep(intervalUs / 1_000, undefined, { signal });
    yield { payload: { type: 0, body: zeros(size) } };
  }
}

/** So many zeros. */
export function zeros(size: number): Uint8Array {
  return size < 0 ? fail("INVALID_ARGUMENT", "a response cannot be smaller than nothing") : new Uint8Array(size);
}

/** Echoes the metadata that cases send. */
export function echo({ metadata, header, trailer }: CallContext): void {
  const initial = metadata.get(ECHOED.header);
  if (initial !== undefined) header.set(ECHOED.header, initial);
  const trailing = metadata.get(ECHOED.trailer);
  if (trailing !== undefined) trailer.set(ECHOED.trailer, trailing);
}

function refuseIfAsked(status: EchoStatus | undefined): void {
  if (status && status.code !== 0) fail(status.code, status.message);
}

function reportLoad({ orcaPerQueryReport }: SimpleRequest, { trailer }: CallContext): void {
  if (!orcaPerQueryReport) return;
  trailer.set(LOAD_TRAILER, OrcaLoadReport.encode(toLoadReport(orcaPerQueryReport)).finish());
}
