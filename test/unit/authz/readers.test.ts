import fc from "fast-check";
import { isIP } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { Core } from "./core.ts";
import { bits } from "./oracle.ts";

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

/** The reader's `family:hex/bits` as a string of bits. */
function parsed(text: string): string | undefined {
  const match = /^([46]):([0-9a-f]{32})\/(\d+)$/.exec(core.parseIp(text));
  if (!match) return undefined;
  const all = [...match[2]!].map((digit) => parseInt(digit, 16).toString(2).padStart(4, "0")).join("");
  return all.slice(0, Number(match[3]));
}

const text = fc.oneof(
  fc.ipV4(), fc.ipV6(),
  fc.string({ unit: fc.constantFrom("0", "1", "ff", ":", "::", ".", "10", "255", "256", "g", "/", "01"), minLength: 1, maxLength: 18 }),
);

test("an address is read as Node reads it, and nothing else is", () => {
  fc.assert(fc.property(text, (address) => {
    const family = address.includes("%") || address.includes("/") ? 0 : isIP(address);
    expect(parsed(address)).toBe(family === 0 ? (address.includes("/") ? parsed(address) : undefined) : bits(address));
  }), { numRuns: 20_000 });
});

test("a range is the bits before its length", () => {
  const range = fc.oneof(fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 40 })), fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 140 })));
  fc.assert(fc.property(range, ([address, length]) => {
    const all = bits(address)!;
    const most = address.includes(":") ? 128 : 32;
    const kept = all.length === most ? length : length - 96; // a mapped address
    const expected = length > most ? undefined : kept < 0 ? parsed(`${address}/${length}`) : all.slice(0, kept);
    expect(parsed(`${address}/${length}`)).toBe(expected);
  }), { numRuns: 5_000 });
});

test.each(["10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "/8", "010.0.0.1", "10.0.0", "10.0.0.1.", "1:2:3:4:5:6:7:8:9", "::1%eth0", "[::1]", ":::"])(
  "%s is no range", (range) => expect(core.parseIp(range)).toBe(""));

const segment = "a-zA-Z0-9\\-._~%!$&'()*+,;=:@";
const piece = fc.constantFrom("{*}", "{**}", "a", "b.css", "%41", "a*", "", "{x}", "=");
const paths = fc.array(fc.constantFrom("a", "b.css", "%41", "*", "/", "/", ".", "é", "[", "=", ";x"), { maxLength: 10 }).map((parts) => `/${parts.join("")}`);

test("a template matches as the regular expression that Envoy makes of it", () => {
  const template = fc.tuple(fc.array(piece, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", ".css", "x")).map(([parts, end]) => `/${parts.join("/")}${end}`);
  let valid = 0;
  let matching = 0;
  fc.assert(fc.property(template, paths, (value, path) => {
    const result = core.template(value, path);
    if (result === undefined) return;
    valid++;
    const regex = value.split(/(\{\*\*?\})/).map((part) =>
      part === "{*}" ? `[${segment}]+` : part === "{**}" ? `[${segment}/]*` : part.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")).join("");
    const expected = new RegExp(`^${regex}$`).test(path);
    if (expected) matching++;
    expect(result).toBe(expected);
  }), { numRuns: 30_000 });
  expect(valid).toBeGreaterThan(3_000);
  expect(matching).toBeGreaterThan(100);
});

test.each([["a/{*}"], ["/{*}{*}"], ["/{**}/{*}"], ["/{**}/{**}"], ["//{*}"], ["/a{*}"], ["/{*}a/b"], ["/{a}/{*}"], ["/{*}/*"], ["/{*}/a b"], ["/{*}/\u00e9"]])(
  "%s is no template", (template) => expect(core.template(template, "/")).toBeUndefined());
