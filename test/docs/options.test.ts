import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  AdaptiveLimitPolicySchema,
  AuthPolicySchema,
  BatchPolicySchema,
  BreakerPolicySchema,
  BulkheadPolicySchema,
  CachePolicySchema,
  HeartbeatPolicySchema,
  HedgePolicySchema,
  IdempotencyKeyPolicySchema,
  MethodPolicySchema,
  RateLimitPolicySchema,
  ResumePolicySchema,
  RetryBudgetSchema,
  RetryPolicySchema,
  RetryThrottlingSchema,
  ServicePolicySchema,
  ShedPolicySchema,
  ThrottlePolicySchema,
} from "../../gen/bowline/v1/options_pb.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/options.md");

const nested = {
  retry: RetryPolicySchema,
  hedge: HedgePolicySchema,
  breaker: BreakerPolicySchema,
  resume: ResumePolicySchema,
  heartbeat: HeartbeatPolicySchema,
  idempotency_key: IdempotencyKeyPolicySchema,
  bulkhead: BulkheadPolicySchema,
  adaptive_limit: AdaptiveLimitPolicySchema,
  throttle: ThrottlePolicySchema,
  cache: CachePolicySchema,
  batch: BatchPolicySchema,
  retry_throttling: RetryThrottlingSchema,
  retry_budget: RetryBudgetSchema,
  auth: AuthPolicySchema,
  rate_limit: RateLimitPolicySchema,
  shed: ShedPolicySchema,
};

/** The options that a section's tables have a row for: all that is in code in a row's first cell. */
function rowsOf(title: string): string[] {
  const [, section] = page.split(new RegExp(`^## ${title.replace(/[()]/g, "\\$&")}.*$`, "m"));
  const rows = section?.split(/^## /m)[0]?.matchAll(/^\| (`[^|]*) \|/gm) ?? [];
  return [...rows].flatMap(([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

test("every option of the contract has a row, and every row its option", () => {
  const scalars = [...ServicePolicySchema.fields, ...MethodPolicySchema.fields].map((field) => field.name);
  const paths = Object.entries(nested).flatMap(([name, { fields }]) => fields.map((field) => `${name}.${field.name}`));
  const options = new Set([...scalars.filter((name) => !(name in nested)), ...paths, "idempotency_level"]);
  expect([...new Set(rowsOf("In the contract"))].toSorted()).toEqual([...options].toSorted());
});

/** The names of an interface's options. */
function optionsOf(path: string, name: string): string[] {
  const body = new RegExp(`export interface ${name}\\b[^{]*\\{(.*?)\\n\\}`, "s").exec(read(path))?.[1] ?? "";
  const names = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, option = ""]) => option);
  expect(names.length, `${name} in ${path}`).toBeGreaterThan(0);
  return names;
}

test.each<[string, [string, string][]]>([
  [
    "On a client: `createClient",
    [
      ["src/client/client-options.ts", "PipelineOptions"],
      ["src/client/client-options.ts", "ClientOptions"],
      ["src/transport/channel.ts", "ConnectionOptions"],
    ],
  ],
  ["On a call: ", [["src/core/call-options.ts", "CallOptions"]]],
  [
    "On a server: `createServer",
    [
      ["src/server/server-options.ts", "ServerOptions"],
      ["src/transport/server-limits.ts", "ServerLimits"],
    ],
  ],
])("every option has a row under %s…, and every row its option", (title, interfaces) => {
  const options = interfaces.flatMap(([path, name]) => optionsOf(path, name));
  expect(rowsOf(title).toSorted()).toEqual(options.toSorted());
});
