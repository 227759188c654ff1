/** The identity by x-forwarded-client-cert: Envoy writes it, the filter reads it, and neither clients nor Backends have a part in it. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { findEnvoy, startEnvoy, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { authorization, backend, carrier, certificates, doc, folder, gateway, ref, route } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("forwarded-certificate");
let server: Server;
let envoy: RunningEnvoy;
let port: number;

beforeAll(async () => {
  server = createServer((incoming, answer) => answer.end(JSON.stringify(incoming.headers)));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const policies = doc(
    gateway(`tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: "", name: cert }] } } } }
listeners: [{ name: https, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }]`),
    carrier(join(certificates(), "node")),
    backend("a").replace("9000", String((server.address() as AddressInfo).port)),
    route(`- backendRefs: [${ref("a")}]`),
    authorization("rules: [{ from: [{ source: { principals: [cluster.local/ns/prod/sa/client] } }], to: [{ operation: { paths: [/client] } }] }, { from: [{ source: { principals: ['*/sa/root'] } }], to: [{ operation: { paths: [/root] } }] }]"),
    "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: t, namespace: prod }\nspec: { metrics: [{ overrides: [{ disabled: true }] }] }",
  );
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": policies })), { moduleDir: scratch.path, modulePaths: { authz: path }, modules: "separate", adminPort: null, identity: "xfcc" });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  const bootstrap = JSON.parse(JSON.stringify(config).replace(/"port_value":8443/g, '"port_value":0')) as never;
  envoy = await startEnvoy({ envoy: await findEnvoy({ containers: false }), config: bootstrap, concurrency: 1 });
  port = await envoy.port("prod/gw/8443");
}, 180_000);

afterAll(async () => {
  await envoy?.stop();
  server.close();
  scratch.remove();
});

function ask(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  const pem = (name: string): Buffer => readFileSync(join(certificates(), name));
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, headers, ca: pem("ca.crt"), cert: pem("client/tls.crt"), key: pem("client/tls.key"), checkServerIdentity: () => undefined };
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

it.each(["URI=spiffe://cluster.local/ns/prod/sa/root", "By=x;URI=spiffe://cluster.local/ns/prod/sa/root,Hash=1", "\"", ""])("is not what a client writes: %s", async (xfcc) => {
  expect((await ask("/root", { "x-forwarded-client-cert": xfcc })).status).toBe(403);
  expect((await ask("/client", { "x-forwarded-client-cert": xfcc })).status).toBe(200);
});
