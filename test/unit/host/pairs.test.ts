import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePairs, encodePairs } from "../../../harness/host/index.ts";

const byteString = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 });
const pairList = fc.array(fc.tuple(byteString, byteString), { maxLength: 30 });

test("what was encoded is decoded again", () => {
  fc.assert(fc.property(pairList, (pairs) => void expect(decodePairs(encodePairs(pairs))).toEqual(pairs.flat())));
});

test("a damaged buffer never throws, and gives whole pairs or nothing", () => {
  fc.assert(
    fc.property(pairList, fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }), fc.nat(2000), (pairs, changes, cut) => {
      const bytes = Uint8Array.from(encodePairs(pairs));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const flat = decodePairs(bytes.subarray(0, Math.max(0, bytes.length - (cut % 5 === 0 ? cut : 0))));
      expect(flat.length % 2).toBe(0);
      expect(flat.every((part) => typeof part === "string")).toBe(true);
    }),
  );
});

test("any bytes at all never throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodePairs(bytes)));
});

test("limits are Envoy's: 1024 pairs, 1 MiB", () => {
  const many = (count: number): [string, string][] => Array.from({ length: count }, () => ["a", "b"]);
  expect(decodePairs(encodePairs(many(1024)))).toHaveLength(2048);
  expect(decodePairs(encodePairs(many(1025)))).toEqual([]);
  expect(decodePairs(encodePairs([["a", "x".repeat(1024 * 1024 - 15)]]))).toHaveLength(2);
  expect(decodePairs(encodePairs([["a", "x".repeat(1024 * 1024 - 14)]]))).toEqual([]);
});
