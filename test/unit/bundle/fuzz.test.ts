/** No mutation of a good bundle is taken, unless the very same payload still has a trusted signature. */
import { sign } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { open, PAYLOAD_TYPE, signedText, type Envelope } from "../../../harness/bundle/envelope.ts";
import { loadFilter } from "../../../harness/host/index.ts";
import { allowing, authz, NOW, payload, signed, signer, stranger, trust } from "./support.ts";

const RUNS = Number(process.env.SELVEDGE_FUZZ_RUNS ?? 300);
const good = signed(payload(1));
const goodText = JSON.stringify(good);
const goodPayload = Buffer.from(good.payload, "base64");
const mounted = (bundle: string): string => `{"signing":${JSON.stringify(trust())},"bundle":${bundle}}`;

let module: Uint8Array;
beforeAll(async () => {
  module = await authz();
});

/** Does a filter decide by this bundle? Anything but denying everything counts, whatever it says about itself. */
async function taken(bundle: string): Promise<boolean> {
  const filter = await loadFilter(module, { rootId: "authz", config: mounted(bundle), logLevel: "critical" });
  if (filter.status.state === "rejected") return false;
  expect(filter.status.state).toBe("running");
  for (const path of ["/v1", "/anything"]) {
    const { status, localReply } = await filter.http({ path, authority: "x" });
    if (status === 200 || localReply?.details !== "selvedge_no_valid_bundle") return true;
  }
  return false;
}

/** By Node's own cryptography: the same payload, and a signature that holds. */
function same(text: string): boolean {
  const envelope = JSON.parse(text) as Envelope;
  const opened = open(text, { keys: [signer.publicKey], audience: "edge-1", now: NOW });
  return opened.reason === undefined && Buffer.from(envelope.payload, "base64").equals(goodPayload);
}

const position = fc.nat({ max: goodText.length - 1 });
const splice = (text: string, at: number, remove: number, insert: string): string => text.slice(0, at) + insert + text.slice(at + remove);
const evil = signed(payload(2, { authz: { policies: [] } }), stranger);

const mutations: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(position, fc.nat({ max: 6 })).map(([at, bit]) => splice(goodText, at, 1, String.fromCharCode(goodText.charCodeAt(at) ^ (1 << bit)))),
  fc.tuple(position, fc.nat({ max: 40 })).map(([at, n]) => splice(goodText, at, n, "")),
  position.map((at) => goodText.slice(0, at)),
  fc.tuple(position, fc.constantFrom(" ", "\n", "=", "A", "\\u0041", "\\/", "\0", "-_", "1e999", "{}", ",", '"', "null")).map(([at, what]) => splice(goodText, at, 0, what)),
  // Fields that come twice, in either order.
  fc.constantFrom<[string, string]>(["payload", evil.payload], ["payloadType", "application/json"]).map(([name, value]) => `{"${name}":"${value}",${goodText.slice(1)}`),
  fc.constantFrom<[string, unknown]>(["payload", evil.payload], ["signatures", evil.signatures], ["payloadType", "x"], ["extra", 1]).map(([name, value]) => `${goodText.slice(0, -1)},"${name}":${JSON.stringify(value)}}`),
  // Parts of another's envelope, and what looks like a signature.
  fc.constantFrom<Partial<Envelope>>({ payload: evil.payload }, { signatures: evil.signatures }, { signatures: [] }, { payloadType: "" as never }, { payload: "" }, { payload: Buffer.from("{}").toString("base64") })
    .map((part) => JSON.stringify({ ...good, ...part })),
  fc.uint8Array({ minLength: 0, maxLength: 90 }).map((bytes) => JSON.stringify({ ...good, payload: evil.payload, signatures: [{ sig: Buffer.from(bytes).toString("base64") }, ...good.signatures] })),
  // The payload itself, with the signature of the good one.
  fc.tuple(fc.nat({ max: goodPayload.length - 1 }), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
    const bytes = Buffer.from(goodPayload);
    bytes[at]! ^= by;
    return JSON.stringify({ ...good, payload: bytes.toString("base64") });
  }),
  // Other spellings of the same bytes: these may be taken.
  fc.constantFrom((text: string) => text.replaceAll("+", "-").replaceAll("/", "_"), (text: string) => text.replace(/=+$/, ""), (text: string) => `${text}=`, (text: string) => `${text}AA==`)
    .map((spell) => JSON.stringify({ ...good, payload: spell(good.payload), signatures: good.signatures.map(({ sig }) => ({ sig: spell(sig) })) })),
);

/** Any text as a payload, signed by the trusted key. */
const sealed = (text: string): string => JSON.stringify({ payloadType: PAYLOAD_TYPE, payload: Buffer.from(text).toString("base64"), signatures: [{ sig: sign("sha256", signedText(Buffer.from(text)), signer.privateKey).toString("base64") }] });
const numbers = fc.constantFrom("0", "1", "-1", "1.5", "1e3", "1e308", "1e999", "9007199254740992", "9007199254740993", "18446744073709551616", "01", "null", '"1"', "true", "[]");

describe("a mutated bundle", () => {
  test("isn't taken, unless its payload is the same and its signature holds", async () => {
    await fc.assert(fc.asyncProperty(mutations, async (text) => {
      if (await taken(text)) expect(same(text), text).toBe(true);
    }), { numRuns: RUNS });
  }, 600_000);

  test("other spellings of the same bytes are taken", async () => {
    expect(await taken(goodText)).toBe(true);
    expect(await taken(JSON.stringify({ ...good, payload: good.payload.replace(/=+$/, ""), signatures: good.signatures.map(({ sig }) => ({ keyid: "x", sig: sig.replaceAll("+", "-").replaceAll("/", "_") })) }, null, 2))).toBe(true);
  });

  test("that a trusted key signed is understood as by anybody else, or refused", async () => {
    const policies = JSON.stringify(allowing("/v1"));
    await fc.assert(fc.asyncProperty(numbers, numbers, fc.constantFrom('["edge-1"]', '"edge-1"', '["edge-2","edge-1"]', '["edge-1\\u0000"]', "[null]", "[]", "{}"), fc.constantFrom("", ',"version":5', ',"audience":["edge-1"]', ',"x":1'), async (version, expires, audience, more) => {
      const text = `{"version":${version},"expires":${expires},"audience":${audience},"authz":${policies}${more}}`;
      const bundle = sealed(text);
      const opened = open(bundle, { keys: [signer.publicKey], audience: "edge-1", now: NOW });
      // JSON.parse takes the last of two; the filter takes neither.
      const expected = opened.reason === undefined && more === "";
      expect(await taken(bundle), text).toBe(expected);
    }), { numRuns: RUNS });
  }, 600_000);
});
