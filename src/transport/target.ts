/** Schemes whose target is an address. What another one names, such as xds, its resolver decides. */
const SCHEMES = ["dns", "ipv4", "ipv6", "unix", "unix-abstract"];

/**
 * Whether nothing but this machine can see what is sent to a target: a Unix socket, or addresses that all loop back.
 * A target is what gRPC dials: `host:port`, `dns:///host:port`, `ipv4:address:port,…`, `unix:path`.
 */
export function isLoopback(target: string): boolean {
  const { scheme, rest } = split(target);
  if (scheme === "unix" || scheme === "unix-abstract") return true;
  return rest.split(",").every((address) => isLoopbackHost(hostOf(address).toLowerCase()));
}

function split(target: string): { scheme: string; rest: string } {
  const match = /^([a-z][a-z0-9-]*):(?:\/\/[^/]*\/)?(.+)$/.exec(target);
  const scheme = match?.[1] ?? "";
  return SCHEMES.includes(scheme) ? { scheme, rest: match?.[2] ?? "" } : { scheme: "", rest: target };
}

function hostOf(address: string): string {
  return (
    /^\[(.*)\](?::\d+)?$/.exec(address)?.[1] ?? (/^[^:]*:\d+$/.test(address) ? address.replace(/:\d+$/, "") : address)
  );
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || /^127(\.\d{1,3}){3}$/.test(host) || host === "::1";
}
