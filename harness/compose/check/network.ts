/** Addresses and CIDR ranges as numbers, so that thousands of them can be compared with each other. Pure. */
import { isIPv4 } from "node:net";
import { cidrProblem } from "./authorization-values.ts";

interface Network {
  /** Bits of an address: 32 or 128. */
  width: number;
  /** Of those, the leading ones that count. */
  length: number;
  address: bigint;
}

/** Does the first one contain the other? What is no network was refused already, and contains only itself. */
export function networkCovers(general: string, special: string): boolean {
  const [outer, inner] = [networkOf(general), networkOf(special)];
  if (!outer || !inner) return general === special;
  return outer.width === inner.width && outer.length <= inner.length && leading(outer, outer.length) === leading(inner, outer.length);
}

/** A key for each network that contains this one, of those that are this long: what {@link networkKey} gives for it. */
export function* networkKeys(value: string, lengths: Iterable<number>): Iterable<string> {
  const network = networkOf(value);
  for (const length of lengths) if (network && length <= network.length) yield keyOf(network, length);
}

/** Undefined: no network. */
export function networkKey(value: string): { key: string; length: number } | undefined {
  const network = networkOf(value);
  return network && { key: keyOf(network, network.length), length: network.length };
}

/** The highest address of a network; of what is no network, the text itself. */
export function lastAddress(value: string): string {
  const network = networkOf(value);
  if (!network) return value;
  const { width, length, address } = network;
  const last = (leading(network, length) << BigInt(width - length)) | ((1n << BigInt(width - length)) - 1n);
  const [bits, radix, separator] = width === 32 ? ([8n, 10, "."] as const) : ([16n, 16, ":"] as const);
  const parts = Array.from({ length: width / Number(bits) }, (_, i) => ((last >> (BigInt(width) - bits * BigInt(i + 1))) & ((1n << bits) - 1n)).toString(radix));
  return last === address ? value.split("/")[0]! : parts.join(separator);
}

const keyOf = (network: Network, length: number): string => `${network.width}/${length}/${leading(network, length)}`;
const leading = ({ width, address }: Network, length: number): bigint => address >> BigInt(width - length);

const known = new Map<string, Network | undefined>();
const KNOWN_AT_MOST = 100_000;

function networkOf(value: string): Network | undefined {
  if (known.has(value)) return known.get(value);
  if (known.size >= KNOWN_AT_MOST) known.clear();
  const network = cidrProblem(value) === undefined ? parse(value) : undefined;
  known.set(value, network);
  return network;
}

function parse(value: string): Network {
  const [text = "", bits] = value.split("/");
  const width = isIPv4(text) ? 32 : 128;
  const address = width === 32 ? fromParts(text.split("."), 8n, 10) : fromParts(groupsOf(text), 16n, 16);
  return { width, length: Number(bits ?? width), address };
}

function fromParts(parts: string[], bits: bigint, radix: number): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(parseInt(part, radix)), 0n);
}

/** The eight groups of an IPv6 address; its last two may be written as an IPv4 address. */
function groupsOf(text: string): string[] {
  const groups = (side: string): string[] =>
    side.split(":").filter(Boolean).flatMap((group) => {
      if (!group.includes(".")) return [group];
      const number = fromParts(group.split("."), 8n, 10);
      return [(number >> 16n).toString(16), (number & 0xffffn).toString(16)];
    });
  const [head = "", tail] = text.split("::");
  const [before, after] = [groups(head), groups(tail ?? "")];
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
}
