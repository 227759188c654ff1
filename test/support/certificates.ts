/** Certificates for tests, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** An authority (`ca.crt`) in a folder, and a folder each with tls.key, tls.crt and ca.crt. @param names subjectAltName, by folder */
export function issue(directory: string, names: Record<string, string>): void {
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=ca");
  for (const [name, san] of Object.entries(names)) {
    mkdirSync(join(directory, name));
    openssl("req", ...key, "-keyout", `${name}/tls.key`, "-out", `${name}/req`, "-subj", `/CN=${name}`);
    writeFileSync(join(directory, name, "ext"), `subjectAltName=${san}\n`);
    openssl("x509", "-req", "-in", `${name}/req`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}/ext`, "-out", `${name}/tls.crt`);
    writeFileSync(join(directory, name, "ca.crt"), readFileSync(join(directory, "ca.crt")));
  }
}
