/**
 * Milliseconds on the machine's monotonic clock. Every process of the machine reads the same one, and
 * `performance.now()` is this less the moment at which its process began.
 */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1_000_000;
}
