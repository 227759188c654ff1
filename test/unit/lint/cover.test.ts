/** What is called covered really is: whatever the special pattern matches, the general one matches too. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isContradiction, listCovers, valueCovers } from "../../../harness/lint/cover.ts";
import { lastAddress, networkCovers, networkKey, networkKeys } from "../../../harness/compose/check/network.ts";

const word = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 4 });
const pattern = fc.oneof(word, word.map((text) => `${text}*`), word.map((text) => `*${text}`), fc.constant("*"));

/** Istio's matching, plainly: `*` anything but the empty text, then suffix, then prefix, then exact. */
function matches(value: string, text: string): boolean {
  if (value === "*") return text !== "";
  if (value.startsWith("*")) return text.endsWith(value.slice(1));
  if (value.endsWith("*")) return text.startsWith(value.slice(0, -1));
  return text === value;
}

test("patterns of text", () => {
  fc.assert(
    fc.property(pattern, pattern, fc.array(word, { minLength: 5, maxLength: 30 }), (general, special, texts) => {
      if (!valueCovers("source.principal", general, special)) return;
      const likely = special.replaceAll("*", "ab");
      for (const text of [...texts, likely]) if (text !== "" && matches(special, text)) expect(matches(general, text), `${general} ${special} ${text}`).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

test("contradictions match nothing", () => {
  const list = fc.array(pattern, { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(fc.tuple(list, list), { minLength: 1, maxLength: 2 }), fc.array(word, { maxLength: 30 }), (lists, texts) => {
      const at = { values: [], notValues: [] };
      const constraints = lists.map(([values, notValues]) => ({ attribute: "method", values, notValues, at }));
      if (!isContradiction({ constraints })) return;
      for (const text of texts.filter((each) => each !== "")) {
        const held = constraints.every(({ values, notValues }) => (values.length === 0 || values.some((value) => matches(value, text))) && !notValues.some((value) => matches(value, text)));
        expect(held, JSON.stringify([lists, text])).toBe(false);
      }
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  ["10.0.0.0/8", "10.1.2.3", true],
  ["10.0.0.0/8", "10.0.0.0/8", true],
  ["10.1.0.0/16", "10.0.0.0/8", false],
  ["fd00::/8", "fd12::/16", true],
  ["::/0", "10.1.2.3", false],
  ["0.0.0.0/0", "255.255.255.255", true],
  ["10.0.0.7/8", "10.200.0.0/9", true],
  ["2001:DB8:0::/48", "2001:db8::1", true],
  ["::ffff:0:0/96", "::ffff:10.0.0.1", true],
  ["::ffff:10.0.0.0/104", "::ffff:a00:1", true],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8/128", true],
  ["1::8", "1:0:0:0:0:0:0:8", true],
  ["::1", "::2", false],
])("networks: %s and %s", (general, special, expected) => {
  expect(valueCovers("source.ip", general, special)).toBe(expected);
});

test("what contains a network is found under one of its keys", () => {
  const v4 = fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, bits]) => `${address}/${bits}`);
  const v6 = fc.tuple(fc.ipV6(), fc.nat(128)).map(([address, bits]) => `${address}/${bits}`);
  const near = fc.tuple(fc.constantFrom("10.0.0.0", "10.0.0.1", "10.128.0.0", "::", "::1", "::8000:0"), fc.nat(32)).map(([address, bits]) => `${address}/${bits}`);
  const network = fc.oneof(v4, v6, near);
  fc.assert(
    fc.property(network, network, (general, special) => {
      const { key, length } = networkKey(general)!;
      expect([...networkKeys(special, [length])].includes(key)).toBe(networkCovers(general, special));
    }),
    { numRuns: 3_000 },
  );
});

test.each([["10.0.0.0/8", "10.255.255.255"], ["10.1.2.3/9", "10.127.255.255"], ["10.1.2.3", "10.1.2.3"], ["2001:db8::/127", "2001:db8:0:0:0:0:0:1"], ["2001:db8::1", "2001:db8::1"], ["0.0.0.0/0", "255.255.255.255"], ["x", "x"]])("the last address of %s", (network, last) => {
  expect(lastAddress(network)).toBe(last);
});

test("one list may stand for two attributes", () => {
  const list = ["A"];
  expect(listCovers("path", list, "a")).toBe(false);
  expect(listCovers("host", list, "a")).toBe(true);
  expect(listCovers("path", list, "a")).toBe(false);
});

test.each([
  ["/a/*", "/a/{*}/b", true],
  ["/a/b*", "/a/{*}/b", false],
  ["/a/{**}", "/a/b", false],
  ["/a/{*}", "/a/{*}", true],
])("templates: %s and %s", (general, special, expected) => {
  expect(valueCovers("path", general, special)).toBe(expected);
});
