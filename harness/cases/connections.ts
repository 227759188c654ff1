/** Connections as a case writes them, with every default filled in. Pure. */
import { milliseconds, planSender, type SenderPlan } from "./messages.ts";
import type { BytesSpec, ConnectionSpec, ScriptSpec } from "./schema-connections.ts";
import { substitute } from "./table.ts";

/** One thing that an end of a connection does. */
export type Act = { send: Uint8Array } | { waitMs: number } | { await: Uint8Array } | "await-end" | "end" | "reset";

export interface ConnectionPlan extends SenderPlan {
  script: Act[];
}

/** Where a client connects to unless a case says, and from which port: the same on both engines. */
export const DESTINATION = { address: "127.0.0.1", port: 10_000 };
export const SOURCE_PORT = 40_000;

/** A connection and what came of it. */
export interface ConnectionSeen {
  /** What the client got. */
  received: Uint8Array;
  /** Who ended it first. */
  closed: "client" | "upstream" | "filter";
  upstream: {
    received: Uint8Array;
    /** The upstream heard of it. Undefined: with TLS, it may hear of one that is denied at its first byte. */
    connected: boolean | undefined;
  };
}

/** The n-th of a step's connections. */
export function planConnection(spec: ConnectionSpec, n: number): ConnectionPlan {
  const connection = substitute(spec, { n: String(n) }) as ConnectionSpec;
  return { ...planSender(connection), script: scriptOf(connection.send) };
}

export function scriptOf(spec: ScriptSpec | undefined): Act[] {
  return (spec === undefined ? [] : Array.isArray(spec) ? spec : [spec]).map((act): Act => {
    if (typeof act === "string") return { send: Buffer.from(act) };
    if (act.wait !== undefined) return { waitMs: milliseconds(act.wait) };
    if (act.await !== undefined) return { await: bytesOf(act.await) };
    if (act["await-end"]) return "await-end";
    if (act.end) return "end";
    return act.reset ? "reset" : { send: bytesOf(act) };
  });
}

export function bytesOf(spec: BytesSpec): Uint8Array {
  if (typeof spec === "string") return Buffer.from(spec);
  return spec.hex !== undefined ? Buffer.from(spec.hex, "hex") : Buffer.from(spec.base64 ?? "", "base64");
}
