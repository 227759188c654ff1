/** What TLS settings name: PEM from files or inline, versions. */
import { readFileSync } from "node:fs";
import type { SecureVersion } from "node:tls";
import { fail } from "../../errors.ts";

export function readSource(source: { filename: string } | { inline_string: string }): string {
  if ("inline_string" in source) return source.inline_string;
  try {
    return readFileSync(source.filename, "utf8");
  } catch (error) {
    return fail("host-engine-file", `a file that the configuration names can't be read: ${(error as Error).message}`, { where: { file: source.filename } });
  }
}

export function tlsVersion(name: "TLSv1_2" | "TLSv1_3"): SecureVersion {
  return name === "TLSv1_2" ? "TLSv1.2" : "TLSv1.3";
}
