/** How many of an IPv6 address's eight groups name its network, whose addresses one caller has all of. */
const NETWORK_GROUPS = 4;

const GROUP = /^[0-9a-f]{1,4}$/;
/** The last two groups as IPv4 has them. */
const DOTTED = /(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** What IPv4 addresses stand behind inside IPv6: mapped (RFC 4291, 2.5.5.2), and translated (RFC 6052, 2.1). */
const IPV4_BEHIND = ["0:0:0:0:0:ffff:", "64:ff9b:0:0:0:0:"];

/**
 * Whose calls and connections are limited together, for the key of a caller of whom only the address is known: an IPv6
 * address stands for its network of 64 bits, as whoever has one address of it has 2^64 (RFC 6177); an IPv4 address for
 * itself, inside IPv6 too.
 *
 * @param key of an identity. One that is of no IPv6 address is given back as it is.
 */
export function peerNetworkKey(key: string): string {
  if (!key.startsWith("peer:") || !key.includes(":", "peer:".length)) return key;
  const [address = "", ...zone] = key.slice("peer:".length).toLowerCase().split("%");
  const groups = groupsOf(address);
  if (!groups) return key;
  const text = groups.join(":");
  if (IPV4_BEHIND.some((prefix) => text.startsWith(prefix))) return `peer:${dotted(groups.slice(-2))}`;
  return `peer:${[`${groups.slice(0, NETWORK_GROUPS).join(":")}::/64`, ...zone].join("%")}`;
}

/** The eight groups of an address without leading zeros; undefined if it is none. */
function groupsOf(address: string): string[] | undefined {
  const [head = [], tail, ...others] = hexadecimal(address).split("::").map(partsOf);
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (others.length > 0 || (tail ? missing < 1 : missing !== 0)) return undefined;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...(tail ?? [])];
  if (!groups.every((group) => GROUP.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16).toString(16));
}

function partsOf(half: string): string[] {
  return half === "" ? [] : half.split(":");
}

/** An address without dots. */
function hexadecimal(address: string): string {
  return address.replace(DOTTED, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(":"),
  );
}

/** Two groups as IPv4 has them. */
function dotted(groups: readonly string[]): string {
  return groups
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}
