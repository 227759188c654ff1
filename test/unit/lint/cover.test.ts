/** What is called covered really is: whatever the special pattern matches, the general one matches too. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isContradiction, valueCovers } from "../../../harness/lint/cover.ts";

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
])("networks: %s and %s", (general, special, expected) => {
  expect(valueCovers("source.ip", general, special)).toBe(expected);
});

test.each([
  ["/a/*", "/a/{*}/b", true],
  ["/a/b*", "/a/{*}/b", false],
  ["/a/{**}", "/a/b", false],
  ["/a/{*}", "/a/{*}", true],
])("templates: %s and %s", (general, special, expected) => {
  expect(valueCovers("path", general, special)).toBe(expected);
});
