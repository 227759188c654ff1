import { X509Certificate, createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "node:https";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { makeCertificates } from "../../../harness/scenario/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { findingsOf, policyFolder, SCENARIO } from "./support.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());
afterEach(() => void vi.useRealTimers());
let folders = 0;
const folder = (scenario?: string): string => policyFolder(join(scratch.path, String(folders++)), scenario);
const certificate = (dir: string, name: string): X509Certificate => new X509Certificate(readFileSync(join(dir, "certs", name, "tls.crt")));
const DAY_MS = 86_400_000;

describe("certificates of a demonstration", () => {
  it("are made for what the policies refer to and for each workload", async () => {
    const dir = folder();
    const issued = await makeCertificates(dir);
    expect(issued.map(({ directory, spiffeId, issued }) => [directory.slice(dir.length + 1), spiffeId, issued])).toEqual([
      ["certs/ca", undefined, true],
      ["certs/node", "spiffe://cluster.local/ns/edge/sa/edge", true],
      ["certs/authority", undefined, true],
      ["certs/prod-api", "spiffe://cluster.local/ns/prod/sa/api", true],
      ["certs/dev-ci", "spiffe://cluster.local/ns/dev/sa/robot", true],
    ]);
    expect(readdirSync(join(dir, "certs/prod-api")).sort()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
    expect(readdirSync(join(dir, "certs/authority"))).toEqual(["ca.crt"]);
    expect(readdirSync(join(dir, "certs/ca")).sort()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
    for (const name of ["ca", "node", "prod-api", "dev-ci"]) {
      expect(statSync(join(dir, "certs", name, "tls.key")).mode & 0o777, name).toBe(0o600);
    }

    const authority = certificate(dir, "ca");
    const leaf = certificate(dir, "prod-api");
    expect(leaf.subjectAltName).toBe("URI:spiffe://cluster.local/ns/prod/sa/api");
    expect([leaf.ca, authority.ca, leaf.checkIssued(authority), leaf.verify(authority.publicKey)]).toEqual([false, true, true, true]);
    expect(leaf.checkPrivateKey(createPrivateKey(readFileSync(join(dir, "certs/prod-api/tls.key"))))).toBe(true);
    expect(leaf.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    const days = (Date.parse(leaf.validTo) - Date.now()) / DAY_MS;
    expect(days > 6 && days <= 7).toBe(true);
    // Hosts of the routes, and what one types on the node.
    expect(certificate(dir, "node").subjectAltName).toBe("URI:spiffe://cluster.local/ns/edge/sa/edge, DNS:localhost, DNS:web.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
  });

  it("do for mutual TLS between a workload and the node", async () => {
    const dir = folder();
    await makeCertificates(dir);
    const pem = (name: string, file: string): Buffer => readFileSync(join(dir, "certs", name, file));
    const server = createServer({ cert: pem("node", "tls.crt"), key: pem("node", "tls.key"), ca: pem("authority", "ca.crt"), requestCert: true, rejectUnauthorized: true }, (incoming, response) => {
      const peer = (incoming.socket as import("node:tls").TLSSocket).getPeerCertificate();
      response.end(peer.subjectaltname);
    });
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const body = await new Promise<string>((resolve, reject) => {
        const call = request(
          { host: "127.0.0.1", port: (server.address() as AddressInfo).port, servername: "web.example", agent: false, cert: pem("prod-api", "tls.crt"), key: pem("prod-api", "tls.key"), ca: pem("prod-api", "ca.crt") },
          (response) => response.on("data", (data: Buffer) => resolve(data.toString())),
        );
        call.on("error", reject);
        call.end();
      });
      expect(body).toBe("URI:spiffe://cluster.local/ns/prod/sa/api");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("are kept while they serve, and made anew where they end within a day, changed, or are damaged", async () => {
    const dir = folder();
    await makeCertificates(dir);
    const before = new Map(["ca", "node", "prod-api", "dev-ci"].map((name) => [name, certificate(dir, name).fingerprint256]));
    const changed = (): string[] => [...before].filter(([name, fingerprint]) => certificate(dir, name).fingerprint256 !== fingerprint).map(([name]) => name);
    expect((await makeCertificates(dir)).filter(({ issued }) => issued)).toEqual([]);
    expect(changed()).toEqual([]);

    rmSync(join(dir, "certs/dev-ci/tls.key"));
    await makeCertificates(dir);
    expect(changed()).toEqual(["dev-ci"]);

    policyFolder(dir, SCENARIO.replace("serviceAccount: robot", "serviceAccount: other"));
    await makeCertificates(dir);
    expect(certificate(dir, "dev-ci").subjectAltName).toBe("URI:spiffe://cluster.local/ns/dev/sa/other");
    expect(changed()).toEqual(["dev-ci"]);

    rmSync(join(dir, "certs/ca"), { recursive: true });
    expect((await makeCertificates(dir)).every(({ issued }) => issued), "another authority").toBe(true);
    before.set("ca", certificate(dir, "ca").fingerprint256);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6.5 * DAY_MS });
    expect((await makeCertificates(dir)).filter(({ issued }) => issued).map(({ spiffeId }) => spiffeId)).toEqual([
      "spiffe://cluster.local/ns/edge/sa/edge",
      "spiffe://cluster.local/ns/prod/sa/api",
      "spiffe://cluster.local/ns/dev/sa/other",
    ]);
    expect(certificate(dir, "ca").fingerprint256).toBe(before.get("ca"));

    vi.setSystemTime(Date.now() + 25 * DAY_MS);
    expect((await makeCertificates(dir)).every(({ issued }) => issued)).toBe(true);
    expect(certificate(dir, "node").checkIssued(certificate(dir, "ca"))).toBe(true);
  });

  it("agree when two processes make them at once", async () => {
    const dir = folder();
    const runs = await Promise.all([makeCertificates(dir), makeCertificates(dir), makeCertificates(dir)]);
    expect(runs.flat().filter(({ issued }) => issued).length, "each is made once").toBe(runs[0]!.length);
    for (const name of ["node", "prod-api", "dev-ci"]) {
      expect(certificate(dir, name).verify(certificate(dir, "ca").publicKey), name).toBe(true);
      expect(certificate(dir, name).checkPrivateKey(createPrivateKey(readFileSync(join(dir, "certs", name, "tls.key")))), name).toBe(true);
    }
    expect(readdirSync(join(dir, "certs/ca")).sort()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
  });

  it("don't wait for a process that is gone", async () => {
    const dir = folder();
    mkdirSync(join(dir, "certs/ca"), { recursive: true });
    writeFileSync(join(dir, "certs/ca/.lock"), "2147483646");
    await makeCertificates(dir);
    expect(existsSync(join(dir, "certs/ca/.lock"))).toBe(false);
  });

  it("never replace one that somebody else made", async () => {
    const dir = folder();
    const file = join(dir, "certs/node/tls.crt");
    mkdirSync(join(dir, "certs/node"), { recursive: true });
    writeFileSync(file, "-----BEGIN CERTIFICATE-----\n…");
    expect(await findingsOf(() => makeCertificates(dir))).toMatchObject([{ code: "certificate-foreign", where: { file } }]);
    expect(readFileSync(file, "utf8")).toBe("-----BEGIN CERTIFICATE-----\n…");
    expect(existsSync(join(dir, "certs/ca"))).toBe(false);
  });

  it("are not made for a folder without a Scenario", async () => {
    const dir = folder("");
    expect(await findingsOf(() => makeCertificates(dir))).toMatchObject([{ code: "scenario-missing" }]);
    expect(existsSync(join(dir, "certs"))).toBe(false);
  });
});
