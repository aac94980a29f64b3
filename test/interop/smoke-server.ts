import { setTimeout as sleep } from "node:timers/promises";
import { fail } from "bowline";
import { type Contract, contract } from "bowline/runtime/v1";
import { createServer } from "bowline/server";
import { onTestFinished } from "vitest";
import { TestService, type TestServiceHandlers } from "./gen/grpc/testing/test.contract.ts";
import { echo, zeros } from "./test-server.ts";

type SmokeHandlers = Pick<TestServiceHandlers, "unaryCall" | "streamingOutputCall">;

const { unaryCall, streamingOutputCall } = TestService.definition.methods;
const methods = { unaryCall, streamingOutputCall };

/** The two methods that a smoke run calls. */
const Smoke: Contract<typeof TestService.definition, unknown, SmokeHandlers> = contract({
  ...TestService,
  definition: { ...TestService.definition, methods } as never,
});

/** What went wrong with a request, as both sides of a smoke run say it. */
export const BAD_REQUEST = {
  $type: "google.rpc.BadRequest",
  fieldViolations: [{ field: "response_status.code", description: "asks for a refusal" }],
} as const;

/** What the smoke run's server has seen. */
export interface Seen {
  /** The methods that were called. */
  readonly calls: string[];
  /** With what each stream that did not come to its end was broken off. */
  readonly brokenOff: unknown[];
  /** Milliseconds that clients would wait for their streams. */
  readonly waits: number[];
}

/** Serves with Bowline what a smoke run calls, until the test is over. */
export async function serveSmoke(): Promise<{ readonly port: number; readonly seen: Seen }> {
  const seen: Seen = { calls: [], brokenOff: [], waits: [] };
  const server = createServer({ drainOn: [] }).add(Smoke, smokeHandlers(seen));
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1_000 })));
  return { port, seen };
}

function smokeHandlers({ calls, brokenOff, waits }: Seen): SmokeHandlers {
  return {
    async unaryCall({ responseStatus, responseSize }, context) {
      calls.push("unaryCall");
      echo(context);
      context.trailer.set("x-remaining-ms", String(Math.floor(context.remainingMs())));
      if (responseStatus) fail(responseStatus.code, responseStatus.message, { statusDetails: [BAD_REQUEST] });
      return { payload: { body: zeros(responseSize) } };
    },
    async *streamingOutputCall({ responseParameters }, context) {
      const { signal } = context;
      calls.push("streamingOutputCall");
      waits.push(context.remainingMs());
      signal.addEventListener("abort", () => brokenOff.push(signal.reason));
      for (const { size, intervalUs } of responseParameters) {
        await sleep(intervalUs / 1_000, undefined, { signal });
        yield { payload: { body: zeros(size) } };
      }
    },
  };
}
