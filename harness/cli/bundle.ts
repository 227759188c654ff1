import { existsSync, readFileSync } from "node:fs";
import { fail, UsageError, type Finding } from "../errors.ts";
import { writeAtomically } from "../build/files.ts";
import { composeOptions, policyArgs, wholeNumber } from "./policies.ts";
import type { Outcome } from "./verb.ts";
import { defineVerb } from "./verb.ts";

const shared = { "trust-domain": policyArgs["trust-domain"], "trust-domain-aliases": policyArgs["trust-domain-aliases"], "root-namespace": policyArgs["root-namespace"] };

interface Args {
  node?: string;
  key?: string;
  version?: string;
  expires: string;
  gateway?: string;
  output?: string;
  "trust-domain"?: string;
  "trust-domain-aliases"?: string;
  "root-namespace"?: string;
}

export const bundle = defineVerb({
  name: "bundle",
  summary: "Sign the policies for one node; `bundle verify FILE` checks a bundle, `bundle keygen` makes a key",
  args: {
    what: { type: "positional", required: true, description: "Folder of policy files; or `verify` and a bundle; or `keygen`" },
    ...shared,
    node: { type: "string", valueHint: "NODE", description: "Name of the node that may take it" },
    key: { type: "string", valueHint: "PEM", description: "Private key to sign with, or public key to verify with; several with commas, for a rotation" },
    version: { type: "string", valueHint: "N", description: "A number greater than that of any bundle before" },
    expires: { type: "string", valueHint: "WHEN", default: "30d", description: "A time from now (90m, 12h, 30d), or a date" },
    gateway: { type: "string", valueHint: "NS/NAME", description: "The Gateway whose policies these are, where the folder has several" },
    "newer-than": { type: "string", valueHint: "FILE", description: "With verify: the bundle that the node has" },
    output: { type: "string", alias: "o", valueHint: "FILE", description: "Where to write it; standard output unless given" },
  },
  variadic: true,
  async run({ args, positionals }) {
    const [what = "", file, surplus] = positionals;
    if (surplus !== undefined || (file !== undefined && what !== "verify")) throw new UsageError(`one argument too many: ${surplus ?? file}`);
    if (what === "keygen") return keygen(args.key);
    if (what !== "verify") return pack(what, args);
    if (file === undefined) throw new UsageError("`selvedge bundle verify` needs a bundle: verify FILE");
    return verify(file, args.node, args.key, args["newer-than"]);
  },
});

async function keygen(key: string | undefined): Promise<Outcome> {
  const { generateKeys } = await import("../bundle/keys.ts");
  const { privateKey, publicKey } = generateKeys(required("--key", key));
  return { text: `wrote ${privateKey}, which signs and is yours alone, and ${publicKey}, which goes to the nodes`, data: { privateKey, publicKey } };
}

async function pack(dir: string, args: Args): Promise<Outcome> {
  const named = required("--node", args.node);
  const version = wholeNumber("--version", required("--version", args.version));
  const expires = parseExpiry(args.expires);
  const files = required("--key", args.key).split(",");
  if (files.length > 2) throw new UsageError("--key takes one or two keys");
  const [{ readPrivateKey, keyId }, { seal, LATEST_EXPIRY }, { pack }, { checkedNode }, { loadPolicies }, { withScenario }] = await Promise.all([
    import("../bundle/keys.ts"), import("../bundle/envelope.ts"), import("../bundle/pack.ts"), import("../bundle/trust.ts"), import("../compose/index.ts"), import("../scenario/check.ts"),
  ]);
  const node = checkedNode(named);
  const keys = files.map(readPrivateKey);
  if (expires > LATEST_EXPIRY) throw new UsageError(`--expires is ${args.expires}: no later than the year 9999`);
  if (expires <= Date.now() / 1000) fail("bundle-expired", "nobody would take a bundle that has expired already", { found: args.expires, expected: "a time to come, such as 30d" });
  const before = args.output !== undefined && existsSync(args.output) ? versionIn(readFileSync(args.output, "utf8")) : undefined;
  if (before === null) fail("bundle-output", "what is there is no bundle, and isn't overwritten", { where: { file: args.output! }, fix: "write to another file" });
  if (before !== undefined && version <= before) fail("bundle-version", "nodes that took the bundle that is there would refuse this one", { where: { file: args.output! }, found: `version ${version}`, expected: `a version greater than ${before}` });
  const { payload, policies, findings } = pack(loadPolicies(dir, withScenario), { node, version, expires, compose: composeOptions({ ...args, chain: "separate" }), ...(args.gateway !== undefined && { gateway: args.gateway }) });
  const envelope = seal(payload, keys.map(({ key }) => ({ key, id: keyId(key) })));
  const text = `${JSON.stringify(envelope)}\n`;
  if (args.output !== undefined) await writeAtomically(args.output, text);
  const warnings: Finding[] = [...keys.flatMap((each) => each.findings), ...findings];
  const data = { version, expires: iso(expires), audience: payload.audience, policies, ...(args.output === undefined && { envelope }) };
  return { text: args.output === undefined ? text : `wrote ${args.output}: version ${version} for ${payload.audience.join(", ")}, ${count(policies.length)}, until ${iso(expires)}`, data, findings: warnings };
}

async function verify(file: string, node: string | undefined, key: string | undefined, before: string | undefined): Promise<Outcome> {
  const [{ readPublicKey }, { claimedVersion, open }] = await Promise.all([import("../bundle/keys.ts"), import("../bundle/envelope.ts")]);
  const keys = required("--key", key).split(",").map(readPublicKey);
  const audience = required("--node", node);
  // What the node has may have expired, and its key may have been replaced; its version counts all the same.
  const least = before === undefined ? undefined : claimedVersion(read(before)) ?? fail("bundle-malformed", "what the node has is no bundle", { where: { file: before } });
  const opened = open(read(file), { keys, audience, now: Date.now() / 1000, ...(least !== undefined && { minimumVersion: least + 1 }) });
  if (opened.reason !== undefined) return fail(`bundle-${opened.reason}`, `a node would refuse this bundle: ${opened.detail}`, { where: { file } });
  const { version, expires, authz } = opened.payload;
  const policies = (authz["policies"] as unknown[] | undefined) ?? [];
  return { text: `${file}: version ${version} for ${audience}, ${count(policies.length)}, until ${iso(expires)}`, data: { version, expires: iso(expires), audience: opened.payload.audience, policies: policies.length } };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    return fail("bundle-unreadable", `the bundle can't be read: ${(error as Error).message}`, { where: { file } });
  }
}

/** The version of what is there; null: it is something else. */
function versionIn(text: string): number | null {
  try {
    const { payload } = JSON.parse(text) as { payload: string };
    const { version } = JSON.parse(Buffer.from(payload, "base64").toString()) as { version: unknown };
    return typeof version === "number" ? version : null;
  } catch {
    return null;
  }
}

/** Seconds since 1970. @throws UsageError */
export function parseExpiry(text: string, now: number = Date.now()): number {
  const units = { m: 60, h: 3600, d: 86_400 } as const;
  const [, amount, unit] = /^(\d+)([mhd])$/.exec(text) ?? [];
  const date = amount !== undefined ? now + Number(amount) * units[unit as keyof typeof units] * 1000 : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  // Four digits of a year are all that a date has.
  if (!(date < Date.UTC(10_000, 0))) throw new UsageError(`--expires takes a time from now (90m, 12h, 30d) or a date (2030-01-31, 2030-01-31T12:00:00Z), not ${text}`);
  return Math.floor(date / 1000);
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === "") throw new UsageError(`${name} is needed`);
  return value;
}

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
const count = (policies: number): string => (policies === 1 ? "1 policy" : `${policies} policies`);
