/**
 * Configurations and requests by the hundred thousand: generated, then damaged in their structure or byte by byte. Whatever the
 * filter's engine takes must be decided as the plain evaluator decides it; the rest must be refused with a message; nothing may trap.
 */
import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../harness/host/proto.ts";
import { everything } from "./arbitraries.ts";
import { JWT_FILTER, type Core, type Request } from "./core.ts";
import { Nearby, Random, type Vocabulary } from "./near.ts";
import { decide, matchOf, type Configuration } from "./oracle.ts";
import { decideStrictly } from "./strict-oracle.ts";

export interface FuzzReport {
  configurations: number;
  requests: number;
  /** Configurations that were refused. */
  refused: number;
  /** Requests that were allowed; of them, with `strictPaths`. */
  allowed: number;
  strictlyAllowed: number;
  /** With a token; decided as connections; that an AUDIT or a CUSTOM rule matched. */
  tokens: number;
  connections: number;
  audited: number;
  handedOver: number;
  findings: string[];
}

/** For each configuration that is taken. */
const REQUESTS = 25;

const WORDS: Vocabulary = {
  ids: ["cluster.local/ns/prod/sa/web", "td1/ns/dev/sa/api", "td2/ns/ns/sa/sa", "old-td1/ns/istio-system/sa/default", "td1/ns/prod/x/sa/web/y", "a/ns/ns/ns/prod/sa/sa/sa/api/b"],
  snis: ["web.prod", "api.dev", "WEB.prod", "x"],
  direct: ["10.0.0.1", "10.1.2.3", "::1", "::ffff:10.0.0.1", "2001:db8::1"],
  addresses: ["10.0.0.1", "10.1.2.3", "192.168.1.1", "255.255.255.255", "::1", "::ffff:10.0.0.1", "2001:db8:0:1::2", "fe80::1:2:3"],
  ports: [80, 443, 8080, 0],
};

/** @param total configurations and requests together */
export function fuzz(core: Core, total: number, seed: number, progress: (report: FuzzReport) => void = () => undefined): FuzzReport {
  const random = new Random(seed);
  const report: FuzzReport = { configurations: 0, requests: 0, refused: 0, allowed: 0, strictlyAllowed: 0, tokens: 0, connections: 0, audited: 0, handedOver: 0, findings: [] };
  const done = (): number => report.configurations + report.requests;
  for (let batch = 0; done() < total && report.findings.length < 20; batch++) {
    for (const generated of fc.sample(everything, { seed: seed + batch, numRuns: 100 })) {
      for (let round = 0; round < 8; round++) {
        const text = round === 0 ? encode(JSON.stringify(generated)) : damaged(generated, random);
        report.configurations++;
        fuzzOne(core, text, random, report);
        if (done() >= total || report.findings.length >= 20) return report;
      }
    }
    progress(report);
  }
  return report;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function fuzzOne(core: Core, text: Uint8Array, random: Random, report: FuzzReport): void {
  const found = (what: string, more = ""): void => void report.findings.push(`${what}: ${more} with ${Buffer.from(text).toString("latin1")}`);
  let error: string;
  try {
    error = core.configureText(text);
  } catch (trap) {
    return found(`configuring trapped, ${String(trap)}`);
  }
  if (error !== "") {
    report.refused++;
    if (!error.startsWith("$")) found("a refusal without a place", error);
    return;
  }
  let configuration: Configuration;
  try {
    configuration = parse(text);
  } catch (reason) {
    return found(`accepted what is no JSON, ${String(reason)}`);
  }
  const nearby = new Nearby(configuration, random, WORDS);
  const plain = asBytes(configuration) as Configuration;
  const tcp = configuration.protocol === "tcp";
  for (let n = 0; n < REQUESTS; n++) {
    const strict = !tcp && random.once(2);
    const plainer = { ...nearby.connection(), ...nearby.request(), ...(!random.once(4) && { claims: real(nearby.token()) }), metadata: real(nearby.metadata()) };
    const request = strange(strict ? { ...plainer, path: disguised(plainer.path!, random) } : plainer, random);
    report.requests++;
    try {
      const got = core.decide(request, strict);
      const seen = asSeen(request);
      const expected = strict ? decideStrictly(plain, seen) : { ...decide(plain, seen), handedOver: matchOf(plain, seen, "CUSTOM") };
      const more = { audited: matchOf(plain, seen, "AUDIT"), ...(got.dryRunAllowed !== undefined && { dryRunAllowed: decide(plain, seen, true).allowed }) };
      if (got.allowed) report[strict ? "strictlyAllowed" : "allowed"]++;
      if (request.claims) report.tokens++;
      if (tcp) report.connections++;
      if (got.audited !== undefined) report.audited++;
      if (got.handedOver !== undefined) report.handedOver++;
      if (!isDeepStrictEqual({ audited: undefined, handedOver: undefined, ...got }, { ...expected, ...more })) found("another decision", JSON.stringify({ strict, request, got, expected: { ...expected, ...more } }));
    } catch (trap) {
      return found("deciding failed", `${String(trap)} ${JSON.stringify(request)}`);
    }
  }
}

/** Bytes that aren't ASCII, UTF-8 or not, become characters of their own, so that they are told from what escapes stand for. */
const RAW = 0xf000;

function parse(text: Uint8Array): Configuration {
  const characters = Buffer.from(text.buffer, text.byteOffset, text.length).toString("latin1");
  return JSON.parse(characters.replace(/[\x80-\xff]/g, (c) => String.fromCharCode(RAW + c.charCodeAt(0)))) as Configuration;
}

/** Every string as the bytes it is on the wire, one character each. */
function asBytes(value: unknown): unknown {
  if (typeof value === "string") {
    if (!/[\u0080-\uffff]/.test(value)) return value;
    return value.replace(/[\u0080-\u{10ffff}]/gu, (c) => (c.length === 1 && c.charCodeAt(0) >> 8 === RAW >> 8 ? String.fromCharCode(c.charCodeAt(0) - RAW) : Buffer.from(c, "utf8").toString("latin1")));
  }
  if (Array.isArray(value)) return value.map(asBytes);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [asBytes(key), asBytes(each)]));
}

/** A protobuf Struct has strings in UTF-8 only: what policies say in other bytes is in none. */
function real<T extends Json>(value: T): T {
  if (typeof value === "string") return (/[\u0080-\uffff]/.test(value) ? Buffer.from(asBytes(value) as string, "latin1").toString("utf8") : value) as T;
  if (Array.isArray(value)) return (value as Json[]).map((each) => real(each)) as unknown as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [real(key), real(each as Json)])) as T;
}

/** The engine's driver writes characters above 255 as their low byte, except in tokens and metadata, which are UTF-8. */
function asSeen({ claims, metadata, ...rest }: Request): Request {
  const text = JSON.stringify(rest);
  const seen = !/[\u0100-\uffff]/.test(text) ? rest : JSON.parse(text, (_key, value: unknown) => (typeof value === "string" ? Buffer.from(value, "latin1").toString("latin1") : value)) as Request;
  const all = asBytes({ ...metadata, ...(claims && { [JWT_FILTER]: { payload: claims } }) }) as Record<string, Json>;
  return { ...seen, ...(claims && { claims: asBytes(claims) as Record<string, Json> }), metadata: all };
}

/** Structure: a value for another, a member gone, twice, or of another type. Text: bytes changed, gone, twice, or from elsewhere. */
function damaged(configuration: Configuration, random: Random): Uint8Array {
  if (random.once(2)) {
    const copy = JSON.parse(JSON.stringify(configuration)) as Configuration;
    for (let n = 1 + random.below(3); n > 0; n--) changeSomething(copy, random);
    return encode(JSON.stringify(copy));
  }
  let bytes = Buffer.from(JSON.stringify(configuration));
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(bytes.length);
    const length = random.pick([1, 1, 1, 2, 4, random.below(64)]);
    const other = random.below(bytes.length);
    switch (random.below(6)) {
      case 0: bytes[at] = random.below(256); break;
      case 1: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]); break;
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(other, other + length), bytes.subarray(at)]); break;
      case 3: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(TOKENS)), bytes.subarray(at)]); break;
      case 4: bytes[at] = "*/:.[]{}\",\\".charCodeAt(random.below(11)); break;
      default: bytes = bytes.subarray(0, Math.max(1, at));
    }
    if (bytes.length === 0) break;
  }
  return bytes;
}

const TOKENS = ["\\u0000", "\\ud800", "\\u002a", "\\/", "\u00fc", "*", "{*}", "{**}", "null", "1e999", "-0", "[]", "{}", "\"\"", "[[[[[[[[", "::ffff:1.2.3.4", "/33", "\ufeff", " ", "\t"];
const ODD: unknown[] = [null, [], {}, "", "*", "**", 0, -1, 1.5, true, "\u0000", "x".repeat(400), ["*"], ["", "a"], [null], { "": [] }, "{**}/{*}", "/{*}", "a*b", "\u00fc\ud83d\ude00", "1".repeat(40)];

function changeSomething(root: object, random: Random): void {
  let node: Record<string, unknown> = root as Record<string, unknown>;
  for (let depth = 0; depth < 12; depth++) {
    const keys = Object.keys(node);
    if (keys.length === 0) return;
    const key = random.pick(keys);
    const child = node[key];
    if (child !== null && typeof child === "object" && !random.once(5)) {
      node = child as Record<string, unknown>;
      continue;
    }
    if (random.once(4)) {
      if (Array.isArray(node)) node.splice(Number(key), 1);
      else delete node[key];
    } else if (Array.isArray(node) && random.once(3)) node.push(structuredClone(child));
    else if (typeof child === "string" && random.once(2)) {
      const at = random.below(child.length + 1);
      node[key] = child.slice(0, at) + random.pick(["*", "/", "x", "\u00e9", "{*}", ":", ".", "%41", ""]) + child.slice(at + random.below(2));
    } else node[key] = structuredClone(random.pick(ODD));
    return;
  }
}

/** A path with something in it that may be read in several ways. */
function disguised(path: string, random: Random): string {
  const at = 1 + random.below(path.length);
  const c = path[at] ?? "";
  switch (random.below(5)) {
    case 0: case 1: return path.slice(0, at) + random.pick([";", ";x", "%3b", "%3Bx", "%23", "%3f", "%23x/", "*", "%2a", "[", "%5b", "|", "%c3%bc", ";/", "%3b/", "%25", "//", "/.;x"]) + path.slice(at);
    case 2: return path.slice(0, at) + (c === "" || c > "\x7f" ? "%41" : `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`) + path.slice(at + 1);
    default: return path;
  }
}

/** Something that no well-behaved client sends. */
function strange(request: Request, random: Random): Request {
  if (random.once(2)) return request;
  const bytes = (): string => Array.from({ length: random.below(12) }, () => String.fromCharCode(random.once(3) ? random.below(32) : random.below(256))).join("");
  const text = (value = ""): string => {
    const at = random.below(value.length + 1);
    return value.slice(0, at) + random.pick([bytes(), "\0", "\u00ff", "//", "/../", "%00", "?", "#", ";", "x".repeat(5_000)]) + value.slice(at);
  };
  switch (random.below(8)) {
    case 0: return { ...request, path: text(request.path) };
    case 1: return { ...request, host: text(request.host) };
    case 2: return { ...request, headers: [...(request.headers ?? []), [random.pick(["x-a", "x-b", bytes()]), text()], ["x-a", bytes()]] };
    case 3: return { ...request, peer: random.pick([text(request.peer), bytes(), "", "spiffe://", `${request.peer}/ns/${"/ns/".repeat(300)}/`]) };
    case 4: return { ...request, remote: random.pick([text(request.remote), bytes(), "", "[::1]", "[::1]:", "1.2.3.4", "1.2.3.4:", "[1.2.3.4]:1", "999.1.1.1:1", "[::ffff:1.2.3.4]:1"]) };
    case 5: return { ...request, sni: text(request.sni), method: text(request.method) };
    case 6: return { ...request, route: text(request.route), direct: random.pick([bytes(), "::", "1.2.3", ""]) };
    default: {
      const { method: _method, path: _path, host: _host, ...rest } = request;
      return rest;
    }
  }
}
