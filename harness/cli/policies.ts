import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ArgsDef } from "citty";
import { packageRoot } from "../build/root.ts";
import type { ComposeOptions } from "../compose/index.ts";
import { UsageError } from "../errors.ts";

/** Options of every verb that turns policy files into a configuration. */
export const policyArgs = {
  dir: { type: "positional", required: true, description: "Folder of policy files (YAML), read recursively" },
  modules: { type: "string", valueHint: "DIR", description: "Where the filter modules are; ./dist, or those of the package" },
  chain: { type: "enum", options: ["fused", "separate"], default: "fused", description: "One module for all filters, or one each" },
  identity: { type: "enum", options: ["connection", "filter_state", "xfcc"], description: "Where filters read the identity of a peer; filter_state where the Envoy can" },
  "trust-domain": { type: "string", valueHint: "NAME", description: "SPIFFE trust domain of principals; cluster.local unless given" },
  "root-namespace": { type: "string", valueHint: "NAME", description: "Namespace whose policies hold everywhere; istio-system unless given" },
  "admin-port": { type: "string", valueHint: "PORT", description: "Loopback port of Envoy's admin interface; 9901 unless given" },
} as const satisfies ArgsDef;

export interface PolicyArgs {
  modules?: string;
  chain: string;
  identity?: string;
  "trust-domain"?: string;
  "root-namespace"?: string;
  "admin-port"?: string;
}

export function composeOptions(args: PolicyArgs): ComposeOptions {
  return {
    moduleDir: args.modules ?? defaultModules(),
    modules: args.chain as "fused" | "separate",
    ...(args.identity !== undefined && { identity: args.identity as "connection" | "filter_state" | "xfcc" }),
    ...(args["trust-domain"] !== undefined && { trustDomain: args["trust-domain"] }),
    ...(args["root-namespace"] !== undefined && { rootNamespace: args["root-namespace"] }),
    ...(args["admin-port"] !== undefined && { adminPort: wholeNumber("--admin-port", args["admin-port"], 65535) }),
  };
}

/** `dist` of the working directory where modules were built into it, else the package's own. */
export function defaultModules(): string {
  return existsSync(join("dist", "manifest.json")) ? "dist" : join(packageRoot, "dist");
}

/** A number given as text. @throws UsageError */
export function wholeNumber(name: string, text: string, maximum = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= maximum) return number;
  throw new UsageError(`${name} must be a whole number${maximum === Number.MAX_SAFE_INTEGER ? "" : ` up to ${maximum}`}, not ${text}`);
}
