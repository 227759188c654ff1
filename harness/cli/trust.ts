/** Options with which a folder's policies come from a signed bundle: whom to trust, which node this is, and its first bundle. */
import { readFileSync } from "node:fs";
import type { ArgsDef } from "citty";
import type { ComposeOptions } from "../compose/index.ts";
import { fail, UsageError } from "../errors.ts";

export const trustArgs = {
  trust: { type: "string", valueHint: "PEM", description: "Take policies only from bundles signed with this public key; two with a comma, for a rotation" },
  node: { type: "string", valueHint: "NODE", description: "Name of this node, as bundles have it" },
  bundle: { type: "string", valueHint: "FILE", description: "The bundle to start with" },
} as const satisfies ArgsDef;

export interface TrustArgs {
  trust?: string;
  node?: string;
  bundle?: string;
}

/** @throws SelvedgeError for a key or bundle that the node would refuse, and UsageError */
export async function signingOptions({ trust, node, bundle }: TrustArgs): Promise<Pick<ComposeOptions, "signing">> {
  if (trust === undefined) {
    if (node !== undefined || bundle !== undefined) throw new UsageError("--node and --bundle need --trust, which says whose bundles count");
    return {};
  }
  if (node === undefined) throw new UsageError("--trust needs --node, the name that bundles for this node have");
  const files = trust.split(",");
  if (files.length > 2) throw new UsageError("--trust takes one or two keys");
  const [{ readPublicKey, encodePublicKey }, { open }] = await Promise.all([import("../bundle/keys.ts"), import("../bundle/envelope.ts")]);
  const keys = files.map(readPublicKey);
  const signing = { node, keys: keys.map(encodePublicKey) };
  if (bundle === undefined) return { signing };
  let text: string;
  try {
    text = readFileSync(bundle, "utf8");
  } catch (error) {
    return fail("bundle-unreadable", `the bundle can't be read: ${(error as Error).message}`, { where: { file: bundle } });
  }
  const opened = open(text, { keys, now: Date.now() / 1000 });
  if (opened.reason !== undefined) return fail(`bundle-${opened.reason}`, `the node would refuse this bundle: ${opened.detail}`, { where: { file: bundle } });
  const { audience, version } = opened.payload;
  const meant = audience.some((each) => each === node || each.startsWith(`${node}/`));
  if (!meant) fail("bundle-audience", `the node would refuse this bundle: it is for ${audience.join(", ")}`, { where: { file: bundle }, expected: `one for ${node}` });
  return { signing: { ...signing, bundle: { audience, version, envelope: JSON.parse(text) as never } } };
}
