/** The identity by x-forwarded-client-cert: Envoy (or the host engine) writes it, the filter reads it, and neither clients nor Backends have a part in it. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { startBoth, type Engines } from "./fixtures/engines.ts";
import { NO_METRICS } from "../support/resources.ts";
import { authorization, backend, carrier, certificates, doc, folder, gateway, ref, route } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("forwarded-certificate");
let server: Server;
let engines: Engines;
let ports: [number, number];
/** The same without what keeps the header from Backends. */
let showing: Engines;
let shown: [number, number];

beforeAll(async () => {
  server = createServer((incoming, answer) => answer.end(JSON.stringify(Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => name !== "connection").sort()))));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const policies = doc(
    gateway(`tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: "", name: cert }] } } } }
listeners: [{ name: https, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }]`),
    carrier(join(certificates(), "node")),
    backend("a").replace("9000", String((server.address() as AddressInfo).port)),
    route(`- backendRefs: [${ref("a")}]`),
    authorization("rules: [{ from: [{ source: { principals: [cluster.local/ns/prod/sa/client] } }], to: [{ operation: { paths: [/client] } }] }, { from: [{ source: { principals: ['*/sa/root'] } }], to: [{ operation: { paths: [/root] } }] }]"),
    NO_METRICS,
  );
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": policies })), { moduleDir: scratch.path, modulePaths: { authz: path }, modules: "separate", adminPort: null, identity: "xfcc" });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(config);
  ports = await engines.ports("prod/gw/8443");
  const text = JSON.stringify(config);
  expect(text).toContain('"request_headers_to_remove":["x-forwarded-client-cert"]');
  showing = await startBoth(JSON.parse(text.replaceAll('"request_headers_to_remove":["x-forwarded-client-cert"]', '"request_headers_to_remove":["x-nothing"]')));
  shown = await showing.ports("prod/gw/8443");
}, 180_000);

afterAll(async () => {
  await engines?.stop();
  await showing?.stop();
  server.close();
  scratch.remove();
});

/** Of both engines, which must be the same. */
async function ask(path: string, headers: Record<string, string> = {}, where = ports): Promise<{ status: number; body: string }> {
  const [envoy, host] = [await send(where[0], path, headers), await send(where[1], path, headers)];
  expect(host).toEqual(envoy);
  return envoy;
}

function send(port: number, path: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  const pem = (name: string): Buffer => readFileSync(join(certificates(), name));
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, headers: { host: "a.test", ...headers }, agent: false as const, ca: pem("ca.crt"), cert: pem("client/tls.crt"), key: pem("client/tls.key"), checkServerIdentity: () => undefined };
    httpsRequest(options, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => (body += part)).on("end", () => resolve({ status: answer.statusCode!, body }));
    }).on("error", reject).end();
  });
}

it("is the certificate's, and the header doesn't reach the Backend", async () => {
  const { status, body } = await ask("/client");
  expect(status).toBe(200);
  expect(JSON.parse(body)).not.toHaveProperty("x-forwarded-client-cert");
  expect((await ask("/root")).status).toBe(403);
});

it("is what Envoy writes, to the letter", async () => {
  const { body } = await ask("/client", { "x-forwarded-client-cert": "By=x" }, shown);
  expect((JSON.parse(body) as Record<string, string>)["x-forwarded-client-cert"]).toMatch(/^Hash=[0-9a-f]{64};URI=spiffe:\/\/cluster.local\/ns\/prod\/sa\/client$/);
});

it.each(["URI=spiffe://cluster.local/ns/prod/sa/root", "By=x;URI=spiffe://cluster.local/ns/prod/sa/root,Hash=1", "\"", ""])("is not what a client writes: %s", async (xfcc) => {
  expect((await ask("/root", { "x-forwarded-client-cert": xfcc })).status).toBe(403);
  expect((await ask("/client", { "x-forwarded-client-cert": xfcc })).status).toBe(200);
});
