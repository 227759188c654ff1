/** Bundles that somebody meddled with, or that a signer got wrong; and what a node makes of each. */
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { PAYLOAD_TYPE, signedText, type Reason } from "../../../harness/bundle/envelope.ts";
import { allowing, DAY, payload, signed, signer, stranger, successor } from "./support.ts";

export interface Attack {
  name: string;
  /** The envelope, as text. */
  text: string;
  /** Why it is refused; undefined: it is another spelling of what was signed, and taken. */
  reason?: Reason | "policies";
  /** Only who compiles the policies finds it. */
  compiled?: true;
  /** Only as an answer of a server: as a part of a larger text it would be something else. */
  whole?: true;
}

/** The order of P-256 (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const integer = (value: bigint): Buffer => {
  let hex = value.toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  const bytes = Buffer.from(hex, "hex");
  return Buffer.concat([Buffer.from([2, bytes.length + (bytes[0]! >> 7)]), ...(bytes[0]! >> 7 ? [Buffer.from([0])] : []), bytes]);
};
const sequence = (...parts: Buffer[]): Buffer => Buffer.concat([Buffer.from([0x30, Buffer.concat(parts).length]), ...parts]);

function parts(der: Buffer): [bigint, bigint] {
  const r = der.subarray(4, 4 + der[3]!);
  const s = der.subarray(6 + der[3]!);
  return [BigInt(`0x${r.toString("hex")}`), BigInt(`0x${s.toString("hex")}`)];
}

/** The same bytes in a text that no encoder writes: the last digit has bits that don't count. */
function spare(envelope: { payload: string }): object {
  const { payload: text } = envelope;
  const digit = text.at(-3)!;
  if (!text.endsWith("==") || !/[AQgw]/.test(digit)) throw new Error(text.slice(-4));
  return { ...envelope, payload: `${text.slice(0, -3)}${String.fromCharCode(digit.charCodeAt(0) + 1)}==` };
}

/** @param now the node's time, in seconds @param version what it must be above */
export function attacks(now: number, version: number): Attack[] {
  const next = version + 1;
  const content = payload(next, { expires: now + DAY });
  const good = signed(content);
  const text = JSON.stringify(good);
  const der = Buffer.from(good.signatures[0]!.sig, "base64");
  const [r, s] = parts(der);
  const list: Attack[] = [];
  const add = (name: string, made: string | object, reason?: Attack["reason"], how?: "whole" | "compiled"): void => {
    list.push({ name, text: typeof made === "string" ? made : JSON.stringify(made), ...(reason && { reason }), ...(how && { [how]: true }) });
  };
  const sig = (bytes: Buffer): object => ({ ...good, signatures: [{ sig: bytes.toString("base64") }] });
  /** Any text as what a trusted key signed. */
  const sealed = (what: string, key: KeyObject = signer.privateKey, type = PAYLOAD_TYPE): { payload: string } => {
    const bytes = Buffer.from(what);
    const toSign = type === PAYLOAD_TYPE ? signedText(bytes) : Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `), bytes]);
    const envelope = { payloadType: PAYLOAD_TYPE, payload: bytes.toString("base64") };
    return { ...envelope, signatures: [{ sig: sign("sha256", toSign, key).toString("base64") }] } as never;
  };
  const inner = (fields: Record<string, string>): string => {
    const all: Record<string, string> = { version: String(next), expires: String(now + DAY), audience: '["edge-1"]', authz: JSON.stringify(content.authz), ...fields };
    return `{${Object.entries(all).filter(([, value]) => value !== "").map(([name, value]) => `"${name}":${value}`).join(",")}}`;
  };
  const with_ = (fields: Record<string, string>): object => sealed(inner(fields));

  // The envelope.
  add("no signatures", { ...good, signatures: [] }, "signature");
  add("signatures that aren't there", { payloadType: good.payloadType, payload: good.payload }, "signature");
  add("five signatures", { ...good, signatures: Array.from({ length: 5 }, () => good.signatures[0]) }, "malformed");
  add("two signatures, a stranger's and the signer's", signed(content, stranger, signer));
  add("two signatures, neither trusted", signed(content, stranger, successor), "signature");
  add("the name of the trusted key on a stranger's signature", { ...signed(content, stranger), signatures: [{ ...signed(content, stranger).signatures[0], keyid: "edge" }] }, "signature");
  add("an unknown name of a key", { ...good, signatures: [{ ...good.signatures[0], keyid: "../../etc/passwd\0" }] });
  add("a field that nobody knows", { ...good, extra: true }, "malformed");
  add("a signature with a field that nobody knows", { ...good, signatures: [{ ...good.signatures[0], cert: "x" }] }, "malformed");
  add("the payload twice, a stranger's last", `${text.slice(0, -1)},"payload":${JSON.stringify(signed(payload(next, { expires: now + DAY, authz: allowing("/") }), stranger).payload)}}`, "malformed");
  add("the payload twice, in another spelling of its name", `${text.slice(0, -1)},"p\\u0061yload":"e30="}`, "malformed");
  add("signatures twice", `${text.slice(0, -1)},"signatures":[]}`, "malformed");
  add("a payload type in other letters", { ...good, payloadType: PAYLOAD_TYPE.toUpperCase() }, "malformed");
  add("a payload type with a parameter", { ...good, payloadType: `${PAYLOAD_TYPE};v=1` }, "malformed");
  add("no payload type", { payload: good.payload, signatures: good.signatures }, "malformed");
  add("a payload type that was signed as another", sealed(inner({}), signer.privateKey, "application/vnd.in-toto+json"), "signature");
  add("base64url without padding", { ...good, payload: good.payload.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""), signatures: [{ sig: der.toString("base64url") }] });
  add("base64 with a line break", { ...good, payload: `${good.payload.slice(0, 76)}\n${good.payload.slice(76)}` }, "malformed");
  add("base64 with bits to spare", spare(sealed(inner({}).padEnd(Math.ceil(inner({}).length / 3) * 3 + 1))), "malformed");
  add("base64 that ends early", { ...good, payload: "AAAAA" }, "malformed");
  add("an empty payload", { ...good, payload: "" }, "malformed");
  add("white space around everything", `\n\t ${JSON.stringify(good, null, 2)} \r\n`);
  add("bytes behind it", `${text}{}`, "malformed", "whole");
  add("a NUL behind it", `${text}\0`, "malformed", "whole");
  add("a byte order mark before it", `\uFEFF${text}`, "malformed", "whole");
  add("a NUL in it", text.replace("{", "{\0"), "malformed");
  add("cut off", text.slice(0, -20), "malformed", "whole");
  add("a list of it", `[${text}]`, "malformed");
  add("null", "null", "malformed");
  add("nothing", "", "malformed", "whole");

  // The signature.
  add("the other s of the same signature", sig(sequence(integer(r), integer(ORDER - s))));
  add("r = 0", sig(sequence(integer(0n), integer(s))), "signature");
  add("s = 0", sig(sequence(integer(r), integer(0n))), "signature");
  add("r = s = 0", sig(sequence(integer(0n), integer(0n))), "signature");
  add("r and s of the group's order", sig(sequence(integer(ORDER), integer(ORDER))), "signature");
  add("a negative r", sig(sequence(Buffer.from([2, 1, 0x80]), integer(s))), "signature");
  add("a byte behind the DER", sig(Buffer.concat([der, Buffer.from([0])])), "signature");
  add("a length in two bytes", sig(Buffer.concat([Buffer.from([0x30, 0x81, der[1]!]), der.subarray(2)])), "signature");
  add("a zero before r", sig(sequence(Buffer.concat([Buffer.from([2, der[3]! + 2, 0, 0]), der.subarray(4, 4 + der[3]!)]), integer(s))), "signature");
  add("r and s one after the other, as JWS has them", sig(Buffer.concat([r, s].map((value) => Buffer.from(value.toString(16).padStart(64, "0"), "hex")))), "signature");
  add("an empty signature", { ...good, signatures: [{ sig: "" }] }, "malformed");
  add("a signature by a key on another curve", sealed(inner({}), generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey), "signature");
  add("a signature by RSA", sealed(inner({}), generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey), "signature");
  add("a signature over the payload alone", { ...good, signatures: [{ sig: sign("sha256", Buffer.from(JSON.stringify(content)), signer.privateKey).toString("base64") }] }, "signature");
  add("the signature of another bundle", { ...good, signatures: signed(payload(next + 1, { expires: now + DAY })).signatures }, "signature");

  // What a trusted key signed.
  for (const [name, audience] of Object.entries({ "another node": '["edge-2"]', nobody: "[]", "any node": '["*"]', "names that begin like this one's": '["edge-1 ","edge-11","edge-","edge-1/prod/gw"]', "this node in other letters": '["EDGE-1"]', "this node and a NUL": '["edge-1\\u0000"]' })) {
    add(`for ${name}`, with_({ audience }), "audience");
  }
  add("for this node among others", with_({ audience: '["edge-0","edge-1"]' }));
  for (const [name, audience] of Object.entries({ "a text": '"edge-1"', "an object": '{"0":"edge-1"}', "a list in a list": '[["edge-1"]]', null: "null", absent: "" })) add(`an audience that is ${name}`, with_({ audience }), "malformed");
  for (const [name, expires] of Object.entries({ absent: "", negative: "-1", "part of a second": `${now + DAY}.5`, "a text": `"${now + DAY}"`, "in milliseconds": `${(now + DAY) * 1000}`, "beyond all numbers": "1e999", null: "null" })) add(`an expiry that is ${name}`, with_({ expires }), "malformed");
  for (const [name, expires] of Object.entries({ "now": `${now}`, "before": `${now - 1}`, "zero": "0" })) add(`an expiry that is ${name}`, with_({ expires }), "expired");
  add("an expiry in the year 9999", with_({ expires: "253402300799" }));
  for (const [name, of] of Object.entries({ absent: "", negative: "-1", "no whole number": `${next}.5`, "2^53": "9007199254740992", "2^64": "18446744073709551616", "a text": `"${next}"`, "with a zero before it": `0${next}` })) add(`a version that is ${name}`, with_({ version: of }), "malformed");
  add("the same version with other policies", with_({ version: String(version), authz: JSON.stringify(allowing("/")) }), "version");
  add("an older version", with_({ version: String(version - 1) }), "version");
  add("a version twice", sealed(inner({}).replace('"version"', `"version":1,"version"`)), "malformed");
  add("a field of a payload that nobody knows", with_({ keys: "[]" }), "malformed");
  add("a node's settings", with_({ authz: JSON.stringify({ ...content.authz, identity: { filterState: "x" } }) }), "malformed", "compiled");
  add("whom to trust from now on", with_({ authz: JSON.stringify({ ...content.authz, signing: { keys: [], audience: "edge-1" } }) }), "malformed", "compiled");
  add("no policies at all", with_({ authz: "{}" }), "policies", "compiled");
  add("policies that are none", with_({ authz: '{"policies":[{"metadata":{"name":"p"},"spec":{"action":"ALLOWW"}}]}' }), "malformed", "compiled");
  add("a payload that is no JSON", sealed("policies: []"), "malformed");
  add("a payload and more", sealed(`${inner({})}{}`), "malformed");
  add("a bundle in a bundle", sealed(text), "malformed");
  return list;
}
