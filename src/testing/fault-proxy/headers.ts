import { type IncomingHttpHeaders, type OutgoingHttpHeaders, sensitiveHeaders } from "node:http2";

/**
 * Headers to pass on as they came. node:http2 joins the values of a repeated key with commas where it hands them out
 * as an object; the list that they came in still has each.
 *
 * @param raw names and values by turns, as node:http2 gives them beside the object.
 */
export function toHeaders(raw: readonly string[] | undefined, headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  if (!raw) return headers;
  const passed: OutgoingHttpHeaders = Object.create(null);
  for (let index = 0; index < raw.length; index += 2) {
    const [key = "", value = ""] = [raw[index], raw[index + 1]];
    const before = passed[key];
    passed[key] = before === undefined ? value : [before, value].flat().map(String);
  }
  const sensitive: unknown = Reflect.get(headers, sensitiveHeaders);
  return sensitive ? Object.assign(passed, { [sensitiveHeaders]: sensitive }) : passed;
}

/** A header's value, if it came. */
export function headerOf(headers: OutgoingHttpHeaders, key: string): string | undefined {
  const value = headers[key];
  return value === undefined ? undefined : String(value);
}
