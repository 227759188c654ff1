/** What an authorizer is asked, and what it answers, whatever the protocol. */
import type { HeaderMap } from "../../host/index.ts";
import type { StreamInfo } from "../../host/stream-info.ts";
import type { NamePatterns } from "../schema/ext-authz.ts";

export interface CheckInput {
  headers: HeaderMap;
  info: StreamInfo;
  /** Undefined: bodies aren't shown. */
  body: Uint8Array | undefined;
  /** There is more of it. */
  partial: boolean;
}

export interface HeaderChange {
  name: string;
  value: string;
  action: "add" | "add-if-absent" | "set" | "set-if-there" | "append-if-there";
}

export type Verdict =
  | { kind: "ok"; request: HeaderChange[]; remove: string[]; response: HeaderChange[]; setParameters: [string, string][]; removeParameters: string[] }
  | { kind: "denied"; status: number; body: Uint8Array; headers: string[] }
  /** No answer, or none that is one. */
  | { kind: "error"; status?: number; body?: Uint8Array; headers?: string[] };

export const ALLOWED: Extract<Verdict, { kind: "ok" }> = { kind: "ok", request: [], remove: [], response: [], setParameters: [], removeParameters: [] };

/** Headers by name, values of one name joined: Envoy's map of them. */
export function headersByName({ headers, body, partial }: CheckInput): Map<string, string> {
  const map = new Map<string, string>();
  const { entries } = headers;
  for (let i = 0; i < entries.length; i += 2) {
    const before = map.get(entries[i]!);
    map.set(entries[i]!, before === undefined ? entries[i + 1]! : `${before},${entries[i + 1]!}`);
  }
  if (body) map.set("x-envoy-auth-partial-body", String(partial));
  return map;
}

/** Whether one of the patterns takes a header. */
export function named(patterns: NamePatterns | undefined, name: string): boolean {
  return (patterns?.patterns ?? []).some((pattern) => {
    if ("exact" in pattern) return pattern.exact.toLowerCase() === name;
    return "prefix" in pattern ? name.startsWith(pattern.prefix.toLowerCase()) : name.endsWith(pattern.suffix.toLowerCase());
  });
}
