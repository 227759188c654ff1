/** Options with which a folder's policies come from signed bundles: whom to trust, which node this is, and what it starts with. */
import type { ArgsDef } from "citty";
import type { TrustOptions } from "../bundle/trust.ts";
import { UsageError } from "../errors.ts";

export const trustArgs = {
  trust: { type: "string", valueHint: "PEM", description: "Take policies only from bundles signed with this public key; two with a comma, for a rotation. A PolicyBundle in the folder says the same" },
  node: { type: "string", valueHint: "NODE", description: "Name of this node, as bundles have it" },
  bundle: { type: "string", valueHint: "FILE", description: "The bundle to start with; several with commas, for several Gateways" },
} as const satisfies ArgsDef;

export const stateArg = {
  state: { type: "string", valueHint: "DIR", description: "Keep the newest bundles that were taken here, and start with nothing older" },
} as const satisfies ArgsDef;

export interface TrustArgs {
  trust?: string;
  node?: string;
  bundle?: string;
  state?: string;
}

/** @throws UsageError */
export function trustOptions({ trust, node, bundle, state }: TrustArgs): TrustOptions {
  const keys = trust?.split(",");
  if (keys && keys.length > 2) throw new UsageError("--trust takes one or two keys");
  return { ...(keys && { keys }), ...(node !== undefined && { node }), ...(bundle !== undefined && { bundles: bundle.split(",") }), ...(state !== undefined && { state }) };
}
