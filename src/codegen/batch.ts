import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import type { BatchAccess } from "../contract/batch.ts";
import type { BatchPolicy } from "../contract/policy.ts";
import type { Problem } from "../contract/value-checks.ts";
import { describeField, type FieldRole, findField, listOf, oneMessage } from "./named-field.ts";
import { fieldName, methodKey, oneofName } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";

const STATUS: FieldRole = {
  path: ["batch", "statusField"],
  option: "batch.status_field",
  does: "holds what was wrong with a request",
  what: "a status",
  type: oneMessage("google.rpc.Status"),
  inOneof: true,
};

/**
 * Finds the fields that `batch` names, and tells why they cannot be what they are for. Whether there is such a method,
 * and whether it fits, is checked with the policies.
 */
export function readBatch(
  { name, input, output, parent }: DescMethod,
  batch: Partial<BatchPolicy>,
  options: TsProtoOptions,
): { readonly batch?: BatchAccess; readonly problems: readonly Problem[] } {
  const target = parent.methods.find((method) => method.name === batch.method && method.name !== name);
  if (!target) return { problems: [] };
  const problems: Problem[] = [input, output].flatMap(checkListed);
  const requests = findField(target.input, batch.requestsField, requestsOf(input), problems);
  const responses = findField(target.output, batch.responsesField, RESPONSES, problems);
  const entry = responses && readEntry(responses, output, batch, problems);
  if (!requests || !responses || problems.length > 0) return { problems };
  return {
    batch: {
      method: methodKey(target.name),
      requestsField: fieldName(requests, options),
      responsesField: fieldName(responses, options),
      ...(entry?.response && {
        responseField: fieldName(entry.response, options),
        ...within("responseOneof", entry.response, options),
      }),
      ...(entry?.status && {
        statusField: fieldName(entry.status, options),
        ...within("statusOneof", entry.status, options),
      }),
    },
    problems,
  };
}

/** In a list, ts-proto has dates, texts and numbers for what is a message as a method's request or response. */
function checkListed({ typeName }: DescMessage): Problem[] {
  if (!typeName.startsWith("google.protobuf.")) return [];
  const message = `batch on a method of ${typeName}, of which ts-proto makes something else in a list: wrap it in a message of your own`;
  return [{ path: ["batch"], message }];
}

function requestsOf(request: DescMessage): FieldRole {
  return {
    path: ["batch", "requestsField"],
    option: "batch.requests_field",
    does: "takes the requests",
    what: "the list of requests",
    type: listOf(request.typeName),
  };
}

const RESPONSES: FieldRole = {
  path: ["batch", "responsesField"],
  option: "batch.responses_field",
  does: "holds an entry for each request",
  what: "the list of entries",
  type: listOf(),
};

/** The fields of an entry; the response is one of them unless entries are responses themselves. */
function readEntry(
  responses: DescField,
  response: DescMessage,
  { responseField, statusField }: Partial<BatchPolicy>,
  problems: Problem[],
): { readonly response: DescField | undefined; readonly status: DescField | undefined } | undefined {
  const entry = responses.message;
  if (!entry) return undefined;
  if (!responseField && entry.typeName !== response.typeName) {
    const message = `${describeField(responses)}, and no response of this method: name the field of ${entry.name} that holds the ${response.name}, as batch.response_field`;
    problems.push({ path: ["batch", "responsesField"], message });
  }
  return {
    response: responseField ? findField(entry, responseField, responseIn(response), problems) : undefined,
    status: statusField ? findField(entry, statusField, STATUS, problems) : undefined,
  };
}

function responseIn(response: DescMessage): FieldRole {
  return {
    path: ["batch", "responseField"],
    option: "batch.response_field",
    does: "holds the response",
    what: "the response",
    type: oneMessage(response.typeName),
    inOneof: true,
  };
}

/** Where ts-proto packs the fields of a oneof into one: its key. */
function within<Key extends string>(key: Key, { oneof }: DescField, options: TsProtoOptions): { [K in Key]?: string } {
  return (oneof && options.oneofUnions ? { [key]: oneofName(oneof, options) } : {}) as { [K in Key]?: string };
}
