import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  BreakerPolicySchema,
  HedgePolicySchema,
  IdempotencyKeyPolicySchema,
  MethodPolicySchema,
  ResumePolicySchema,
  RetryPolicySchema,
  ServicePolicySchema,
} from "../../gen/bowline/v1/options_pb.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/options.md");

const nested = {
  retry: RetryPolicySchema,
  hedge: HedgePolicySchema,
  breaker: BreakerPolicySchema,
  resume: ResumePolicySchema,
  idempotency_key: IdempotencyKeyPolicySchema,
};

test("every option of the contract has a row", () => {
  const scalars = [...ServicePolicySchema.fields, ...MethodPolicySchema.fields].map((field) => field.name);
  const paths = Object.entries(nested).flatMap(([name, { fields }]) => fields.map((field) => `${name}.${field.name}`));
  const missing = [...scalars.filter((name) => !(name in nested)), ...paths].filter(
    (path) => !page.includes(`| \`${path}\` |`),
  );
  expect(missing).toEqual([]);
});

test.each([
  ["src/client/client-options.ts", ["PipelineOptions", "ClientOptions"]],
  ["src/transport/channel.ts", ["ConnectionOptions"]],
  ["src/core/call-options.ts", ["CallOptions"]],
  ["src/server/server-options.ts", ["ServerOptions"]],
])("every option in %s has a row", (path, interfaces) => {
  const source = read(path);
  const names = interfaces.flatMap((name) => {
    const body = new RegExp(`export interface ${name}[^{]*\\{(.*?)\\n\\}`, "s").exec(source)?.[1] ?? "";
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, option]) => option);
  });
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((option) => !page.includes(`\`${option}\``))).toEqual([]);
});
