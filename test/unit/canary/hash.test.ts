import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadPure, type Pure } from "./module.ts";

let pure: Pure;
beforeAll(async () => {
  pure = await loadPure();
});

const MASK = (1n << 64n) - 1n;
const P = [0n, 0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n] as const;
const rotl = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
const round = (lane: bigint, input: bigint): bigint => (rotl((lane + input * P[2]) & MASK, 31n) * P[1]) & MASK;
const merge = (hash: bigint, lane: bigint): bigint => ((hash ^ round(0n, lane)) * P[1] + P[4]) & MASK;

/** The specification, word for word: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
function reference(bytes: Uint8Array, seed: bigint): bigint {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let hash = (seed + P[5]) & MASK;
  if (bytes.length >= 32) {
    const lanes = [seed + P[1] + P[2], seed + P[2], seed, seed - P[1]].map((lane) => lane & MASK);
    for (; at + 32 <= bytes.length; at += 32) for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, data.getBigUint64(at + 8 * i, true));
    hash = [1n, 7n, 12n, 18n].reduce((sum, by, i) => sum + rotl(lanes[i]!, by), 0n) & MASK;
    for (const lane of lanes) hash = merge(hash, lane);
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) hash = (rotl(hash ^ round(0n, data.getBigUint64(at, true)), 27n) * P[1] + P[4]) & MASK;
  if (at + 4 <= bytes.length) {
    hash = (rotl(hash ^ ((BigInt(data.getUint32(at, true)) * P[1]) & MASK), 23n) * P[2] + P[3]) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotl(hash ^ ((BigInt(bytes[at]!) * P[5]) & MASK), 11n) * P[1]) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P[2]) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P[3]) & MASK;
  return hash ^ (hash >> 32n);
}

/** The buffer of xxHash's own sanity check (cli/xsum_sanity_check.c). */
function sanityBuffer(length: number): Uint8Array {
  let state = 2654435761n;
  return Uint8Array.from({ length }, () => {
    const byte = Number(state >> 56n);
    state = (state * 0x9e3779b185ebca8dn) & MASK;
    return byte;
  });
}

describe("XXH64", () => {
  it.each([
    [0, 0n, 0xef46db3751d8e999n],
    [0, 2654435761n, 0xac75fda2929b17efn],
    [1, 0n, 0xe934a84adb052768n],
    [1, 2654435761n, 0x5014607643a9b4c3n],
    [4, 0n, 0x9136a0dca57457een],
    [14, 0n, 0x8282dcc4994e35c8n],
    [14, 2654435761n, 0xc3bd6bf63deb6df0n],
    [222, 0n, 0xb641ae8cb691c174n],
    [222, 2654435761n, 0x20cb8ab7ae10c14an],
  ])("gives xxHash's published value for %i bytes, seed %i", (length, seed, expected) => {
    expect(pure.hash(sanityBuffer(length), seed)).toBe(expected);
  });

  it.each([
    ["a", 0xd24ec4f1a98c6e5bn],
    ["abc", 0x44bc2cf5ad770999n],
    ["Call me Ishmael. Some years ago--never mind how long precisely-", 0x02a2e85470d6fd96n],
  ])("gives the known value for %j", (text, expected) => {
    expect(pure.hash(text)).toBe(expected);
  });

  it("agrees with the specification for any bytes, length and seed", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.bigInt({ min: 0n, max: MASK }), (bytes, seed) => {
      expect(pure.hash(bytes, seed)).toBe(reference(bytes, seed));
    }));
  });

  it("hashes a prefix and a key as one string", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (salt, key) => {
      expect(pure.hashWithPrefix(`${salt}\0`, key)).toBe(pure.hash(`${salt}\0${key}`));
    }));
  });
});

describe("SplitMix64", () => {
  it("gives the published sequence", () => {
    // The first outputs for seed 1234567, as in the reference implementation (Vigna, prng.di.unimi.it/splitmix64.c).
    pure.seed(1234567n);
    expect([pure.next(), pure.next(), pure.next()]).toEqual([6457827717110365317n, 3203168211198807973n, 9817491932198370423n]);
  });
});
