/**
 * The texts with which grpc-js tells that a connection or a stream broke, or that it gave up on one. They are all there
 * is: a status of grpc-js's own looks like one that a server sent after its headers.
 */
const BROKEN = [
  /^Connection dropped$/,
  /^Received RST_STREAM with code \d+/,
  /^Call cancelled$/,
  /^Stream refused by server$/,
  /^Bandwidth exhausted or memory limit exceeded$/,
  /^Protocol not secure enough$/,
  /^Received message larger than max/,
  /^(read|write) E[A-Z]+$/,
];

/** Whether the details of a status say that it is grpc-js's own, because connection or stream broke. */
export function isBroken(details: string): boolean {
  return BROKEN.some((text) => text.test(details));
}
