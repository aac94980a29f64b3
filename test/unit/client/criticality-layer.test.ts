import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { criticalityLayer } from "../../../src/client/layers/criticality.ts";
import type { Call } from "../../../src/core/call.ts";
import { type CallContext, detached, runInCall } from "../../../src/core/call-context.ts";
import type { CallOptions } from "../../../src/core/call-options.ts";
import { CRITICALITY_KEY, type Criticality } from "../../../src/core/criticality.ts";
import { aCall, aMethod, aReply, ScriptedStream } from "../../support/scripted.ts";

interface Said {
  readonly client?: Criticality;
  readonly call?: CallOptions;
  readonly metadata?: string;
}

/** What is sent for a call, on either kind of method. */
function sent({ client, call: options = {}, metadata }: Said): (string | undefined)[] {
  const seen: Call[] = [];
  const layer = criticalityLayer(client);
  const call = aCall({
    options,
    metadata: metadata === undefined ? undefined : new Metadata({ [CRITICALITY_KEY]: metadata }),
  });
  layer.unary(async (call) => aReply(seen.push(call)), aMethod())(call);
  const open = (call: Call) => {
    seen.push(call);
    return new ScriptedStream();
  };
  layer.stream(open, aMethod("server-stream"))(call);
  return seen.map(({ headers }) => headers?.[CRITICALITY_KEY]);
}

const both = (criticality: string | undefined) => [criticality, criticality];

test.each<[Said, string | undefined]>([
  [{}, undefined],
  [{ client: "sheddable" }, "sheddable"],
  [{ client: "sheddable", call: { criticality: "critical_plus" } }, "critical_plus"],
  [{ metadata: "sheddable_plus" }, "sheddable_plus"],
  [{ metadata: "sheddable_plus", client: "critical" }, "sheddable_plus"],
  [{ metadata: "sheddable_plus", call: { criticality: "critical" } }, "critical"],
])("%j sends %s", (said, criticality) => {
  expect(sent(said)).toEqual(both(criticality));
});

describe("while serving a call", () => {
  test.each<[Criticality | undefined, Said, string | undefined]>([
    [undefined, {}, undefined],
    ["sheddable", {}, "sheddable"],
    ["critical_plus", {}, "critical_plus"],
    ["sheddable", { client: "critical" }, "sheddable"],
    ["sheddable", { call: { criticality: "critical_plus" } }, "sheddable"],
    ["critical", { call: { criticality: "sheddable_plus" } }, "sheddable_plus"],
    [undefined, { call: { criticality: "critical_plus" } }, "critical"],
    [undefined, { call: { criticality: "sheddable" } }, "sheddable"],
    ["sheddable", { call: { criticality: "critical", inherit: false } }, "critical"],
    ["sheddable", { call: { inherit: false } }, undefined],
  ])("of %s, %j sends %s", (criticality, said, expected) => {
    const context = { criticality } as CallContext;
    expect(runInCall(context, () => sent(said))).toEqual(both(expected));
    expect(runInCall(context, () => detached(() => sent({})))).toEqual(both(undefined));
  });
});

test.each(["urgent", "", "CRITICAL"])("%j as metadata is no criticality, and nothing is sent", (metadata) => {
  const problem =
    /metadata bowline-criticality must be one of sheddable, sheddable_plus, critical, critical_plus; it is/;
  expect(() => sent({ metadata })).toThrow(problem);
});
