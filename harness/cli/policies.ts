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
  "trust-domain-aliases": { type: "string", valueHint: "NAMES", description: "Other trust domains that stand for the same workloads, with commas" },
  "root-namespace": { type: "string", valueHint: "NAME", description: "Namespace whose policies hold everywhere; istio-system unless given" },
  "admin-port": { type: "string", valueHint: "PORT", description: "Loopback port of Envoy's admin interface; 9901 unless given" },
  "deny-status": { type: "string", valueHint: "CODE", description: "What a denied client gets; 403 unless given" },
  "deny-body": { type: "string", valueHint: "TEXT", description: 'And reads; "RBAC: access denied" unless given' },
  "log-denials": { type: "boolean", description: "Have the filter write a line for each denial into Envoy's log, at most ten a second" },
  "strict-paths": { type: "boolean", default: true, description: "Let a request through only if it is allowed in every reading of its path (--no-strict-paths: compare paths exactly as Istio does)" },
} as const satisfies ArgsDef;

export interface PolicyArgs {
  modules?: string;
  chain: string;
  identity?: string;
  "trust-domain"?: string;
  "trust-domain-aliases"?: string;
  "deny-status"?: string;
  "deny-body"?: string;
  "log-denials"?: boolean;
  "strict-paths"?: boolean;
  "root-namespace"?: string;
  "admin-port"?: string;
}

export function composeOptions(args: PolicyArgs): ComposeOptions {
  return {
    moduleDir: args.modules ?? defaultModules(),
    modules: args.chain as "fused" | "separate",
    ...(args.identity !== undefined && { identity: args.identity as "connection" | "filter_state" | "xfcc" }),
    ...(args["trust-domain"] !== undefined && { trustDomain: trustDomain("--trust-domain", args["trust-domain"]) }),
    ...(args["trust-domain-aliases"] !== undefined && { trustDomainAliases: args["trust-domain-aliases"].split(",").map((each) => trustDomain("--trust-domain-aliases", each)) }),
    ...((args["deny-status"] ?? args["deny-body"]) !== undefined && { denial: { ...(args["deny-status"] !== undefined && { status: denyStatus(args["deny-status"]) }), ...(args["deny-body"] !== undefined && { body: args["deny-body"] }) } }),
    ...(args["log-denials"] === true && { logDenials: true }),
    ...(args["strict-paths"] === false && { strictPaths: false }),
    ...(args["root-namespace"] !== undefined && { rootNamespace: args["root-namespace"] }),
    ...(args["admin-port"] !== undefined && { adminPort: wholeNumber("--admin-port", args["admin-port"], 65535) }),
  };
}

/** `dist` of the working directory where modules were built into it, else the package's own. */
export function defaultModules(): string {
  return existsSync(join("dist", "manifest.json")) ? "dist" : join(packageRoot, "dist");
}

function denyStatus(text: string): number {
  const status = wholeNumber("--deny-status", text, 599);
  if (status < 400) throw new UsageError(`--deny-status must be from 400 to 599, not ${text}`);
  return status;
}

/** A slash would make it a path, and an empty one matches nobody. @throws UsageError */
function trustDomain(name: string, text: string): string {
  if (/^[^/\s]+$/.test(text)) return text;
  throw new UsageError(`${name} takes names without slashes and spaces, such as cluster.local, not "${text}"`);
}

/** A number given as text. @throws UsageError */
export function wholeNumber(name: string, text: string, maximum = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= maximum) return number;
  throw new UsageError(`${name} must be a whole number${maximum === Number.MAX_SAFE_INTEGER ? "" : ` up to ${maximum}`}, not ${text}`);
}
