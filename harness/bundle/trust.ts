/** Whom a node believes, and what it starts with: from the folder's PolicyBundle, from options, and from what it has kept. */
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { audienceOf, ofKind, type MountedBundle, type Policies, type Resource, type SigningOptions } from "../compose/index.ts";
import { fail, UsageError, type Finding } from "../errors.ts";
import { open, type Payload } from "./envelope.ts";
import { encodePublicKey, parsePublicKey, readPublicKey } from "./keys.ts";
import { readState } from "./state.ts";

export interface TrustOptions {
  /** Files of public keys. */
  keys?: string[];
  node?: string;
  /** Files of bundles to start with. */
  bundles?: string[];
  /** Folder in which the node keeps the newest bundles that it has taken. */
  state?: string;
  /** Envoy is run by us, who could keep what it takes: say so where nobody said where. */
  runs?: boolean;
  /** Seconds since 1970; default: the clock. */
  now?: number;
}

export interface Trusted {
  signing: SigningOptions;
  keys: KeyObject[];
  /** Texts of the bundles to start with, by audience. */
  mounted: Map<string, { text: string; version: number }>;
  findings: Finding[];
}

interface Given {
  file: string;
  text: string;
  payload: Payload;
}

/** Undefined where policies come unsigned. @throws SelvedgeError for a key or bundle that the node would refuse, and UsageError */
export function trustOf(policies: Policies, options: TrustOptions): Trusted | undefined {
  // Then nothing comes of the folder anyhow, and a PolicyBundle may be what is wrong with it.
  if (policies.findings.some(({ severity }) => severity === "error")) return undefined;
  const [resource] = ofKind(policies, "PolicyBundle");
  if (!resource && !options.keys) {
    const surplus = (["node", "bundles", "state"] as const).find((name) => options[name] !== undefined);
    if (surplus !== undefined) throw new UsageError(`--${surplus.replace(/s$/, "")} needs --trust or a PolicyBundle in the folder, which say whose bundles count`);
    return undefined;
  }
  const keys = trustedKeys(resource, options.keys);
  const node = nodeName(resource, options.node);
  // Composing reports it where the PolicyBundle stands.
  if (node === undefined) return undefined;
  const now = options.now ?? Date.now() / 1000;
  const { minimumVersion, onExpiry, source } = resource?.spec ?? {};
  const given = (options.bundles ?? []).map((file) => readBundle(file, { keys, node, now, minimumVersion }));
  const findings: Finding[] = [];
  if (options.runs && source && options.state === undefined) {
    findings.push({ code: "bundle-not-kept", severity: "warning", message: "a bundle that the node fetches is gone after a restart, and an older one is taken again", where: resource!.at(["spec", "source"], "key"), fix: "--state DIR keeps the newest on disk" });
  }
  const mounted: Trusted["mounted"] = new Map();
  const bundles: MountedBundle[] = [];
  const gateways = ofKind(policies, "Gateway");
  for (const { id } of gateways) {
    const audience = audienceOf(node, id, gateways.length);
    const chosen = choose({ audience, given, keys, now, state: options.state, fetches: source !== undefined, findings });
    if (!chosen) continue;
    bundles.push({ audience: [audience], version: chosen.version, ...(chosen.text !== undefined && { envelope: JSON.parse(chosen.text) as never }) });
    if (chosen.text !== undefined) mounted.set(audience, { text: chosen.text, version: chosen.version });
  }
  for (const { file, payload } of given) {
    if (gateways.length === 0 || gateways.some(({ id }) => payload.audience.includes(audienceOf(node, id, gateways.length)))) continue;
    fail("bundle-audience", `no Gateway here takes this bundle: it is for ${payload.audience.join(", ")}`, { where: { file }, expected: gateways.map(({ id }) => audienceOf(node, id, gateways.length)).join(", ") });
  }
  const signing: SigningOptions = { node, keys: keys.map(encodePublicKey), bundles, ...(minimumVersion !== undefined && { minimumVersion }), ...(onExpiry !== undefined && { onExpiry }) };
  return { signing, keys, mounted, findings };
}

function trustedKeys(resource: Resource<"PolicyBundle"> | undefined, files: string[] | undefined): KeyObject[] {
  if (!resource) return files!.map(readPublicKey);
  if (files) fail("bundle-trust-twice", "the folder's PolicyBundle says whose bundles count, and so does --trust", { where: resource.at(["spec", "keys"], "key"), fix: "keep one of the two" });
  return resource.spec.keys.map((pem, i) => parsePublicKey(pem, resource.at(["spec", "keys", i])));
}

function nodeName(resource: Resource<"PolicyBundle"> | undefined, flag: string | undefined): string | undefined {
  const named = resource?.spec.audience;
  if (flag !== undefined && named !== undefined && flag !== named) fail("bundle-node-twice", "the folder's PolicyBundle names another node than --node", { where: resource!.at(["spec", "audience"]), found: named, expected: flag, fix: "leave spec.audience out where several nodes share the folder" });
  const node = flag ?? named;
  if (node === undefined) {
    if (resource) return undefined;
    throw new UsageError("--trust needs --node, the name that bundles for this node have");
  }
  return checkedNode(node);
}

/** @throws UsageError for what no PolicyBundle can name */
export function checkedNode(node: string): string {
  if (node === "" || /[\0-\x20/{}]/.test(node)) throw new UsageError(`--node is a name without spaces, slashes and braces, not ${JSON.stringify(node)}`);
  return node;
}

function readBundle(file: string, { keys, node, now, minimumVersion }: { keys: KeyObject[]; node: string; now: number; minimumVersion: number | undefined }): Given {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return fail("bundle-unreadable", `the bundle can't be read: ${(error as Error).message}`, { where: { file } });
  }
  const opened = open(text, { keys, now, ...(minimumVersion !== undefined && { minimumVersion }) });
  if (opened.reason !== undefined) return fail(`bundle-${opened.reason}`, `the node would refuse this bundle: ${opened.detail}`, { where: { file } });
  const { audience } = opened.payload;
  const meant = audience.some((each) => each === node || each.startsWith(`${node}/`));
  if (!meant) fail("bundle-audience", `the node would refuse this bundle: it is for ${audience.join(", ") || "nobody"}`, { where: { file }, expected: `one for ${node}` });
  return { file, text, payload: opened.payload };
}

interface Choice {
  audience: string;
  given: Given[];
  keys: KeyObject[];
  now: number;
  state: string | undefined;
  /** Newer ones can be fetched. */
  fetches: boolean;
  findings: Finding[];
}

/** What to start with: never less than what the node has kept. Without a text only the version counts. */
function choose({ audience, given, keys, now, state, fetches, findings }: Choice): { version: number; text?: string } | undefined {
  const mine = given.filter(({ payload }) => payload.audience.includes(audience)).sort((a, b) => b.payload.version - a.payload.version)[0];
  const kept = state === undefined ? undefined : readState(state, audience, keys, now);
  const offered = mine && { version: mine.payload.version, text: mine.text };
  if (!kept) return offered;
  const where = { file: kept.file };
  // Not trusted any more, or not what was written: only what is at least as new as it says may take its place.
  if (kept.claims !== undefined && offered && offered.version >= kept.claims && kept.reason !== undefined) return offered;
  if (kept.reason === undefined || kept.reason === "expired") {
    const { version } = kept.payload!;
    if (mine && mine.payload.version > version) return offered;
    if (mine && mine.text.trim() !== kept.text.trim()) {
      findings.push({ code: "bundle-older", severity: "warning", message: "the node has taken a newer bundle, or another of this version, and keeps to that", where: { file: mine.file }, found: `version ${mine.payload.version}`, expected: `a version above ${version}` });
    }
    if (kept.reason === undefined) return { version, text: kept.text };
    if (fetches) {
      findings.push({ code: "bundle-expired", severity: "warning", message: `the bundle that the node keeps can't be started with: ${kept.detail}. Everything is denied until a newer one is fetched`, where });
      return { version };
    }
    return fail("bundle-expired", `the bundle that the node keeps can't be started with: ${kept.detail}`, { where, fix: `give a newer one with --bundle, of version ${version + 1} or above` });
  }
  return fail(`bundle-state-${kept.reason}`, `what the node keeps is not what it took: ${kept.detail}`, {
    where,
    fix: `find out who changed it; then start with a --bundle of version ${kept.claims ?? "N"} or above${kept.claims === undefined ? ", after removing this file: older ones can't be told from newer ones without it" : ""}`,
  });
}
