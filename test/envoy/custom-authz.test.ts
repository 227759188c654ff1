/** CUSTOM policies: handed to a real authorizer by the ext_authz filter that compose puts behind the real filter, in Envoy and in the host engine. */
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { startHostEngine } from "../../harness/serve/index.ts";
import { findEnvoy, startEnvoy, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { NOBODYS_PORT } from "../support/ports.ts";
import { pathRoute, policyOn, provider, workload } from "../support/resources.ts";
import { doc, folder, gateway, ref } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("custom-authz");
const servers: (Server | Http2Server)[] = [];
const nodes: RunningEnvoy[] = [];
/** Paths that each authorizer was asked about. */
let asked: string[] = [];

async function port(server: Server | Http2Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

const policies = (ports: Record<"shop" | "http" | "grpc" | "gone", number>): string => doc(
  gateway("listeners:\n  - { name: http, port: 8080, protocol: HTTP }"),
  workload("shop", ports.shop), workload("bank", ports.shop), workload("lax", ports.shop), workload("dead", ports.shop),
  workload("authorizer", ports.http), workload("grpc", ports.grpc), workload("gone", ports.gone),
  pathRoute({ "/bank": "bank", "/lax": "lax", "/dead": "dead", "/": "shop" }),
  provider("web", `envoyExtAuthzHttp: { service: authorizer.prod.svc.cluster.local, port: ${ports.http}, pathPrefix: /check, includeRequestHeadersInCheck: [x-token], headersToUpstreamOnAllow: [x-user], headersToDownstreamOnDeny: [x-why] }`),
  provider("rpc", `envoyExtAuthzGrpc: { backendRef: ${ref("grpc")}, timeout: 2s }`),
  provider("lax", `envoyExtAuthzHttp: { backendRef: ${ref("gone")}, failOpen: true }`),
  provider("dead", `envoyExtAuthzHttp: { backendRef: ${ref("gone")}, statusOnError: "503" }`),
  policyOn("shop", "action: CUSTOM, provider: { name: web }, rules: [{ to: [{ operation: { paths: [/ask*] } }] }]", "ask"),
  policyOn("shop", "action: DENY, rules: [{ to: [{ operation: { paths: [/ask/never] } }] }]", "deny"),
  policyOn("shop", "rules: [{ to: [{ operation: { methods: [GET] } }] }]", "allow"),
  policyOn("shop", "action: AUDIT, rules: [{ to: [{ operation: { paths: [/ask*] } }] }]", "watch"),
  policyOn("bank", "action: CUSTOM, provider: { name: rpc }, rules: [{}]"),
  policyOn("lax", "action: CUSTOM, provider: { name: lax }, rules: [{}]"),
  policyOn("dead", "action: CUSTOM, provider: { name: dead }, rules: [{}]"),
);

/** CheckResponse: status { code } alone, or with an OK response. Field 1 is google.rpc.Status, its field 1 the code. */
function grpcAnswer(stream: ServerHttp2Stream, allow: boolean): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  const message = allow ? Buffer.from([0x0a, 0x00]) : Buffer.from([0x0a, 0x02, 0x08, 0x07]);
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
}

const composed: Record<"fused" | "separate", string> = { fused: "", separate: "" };

beforeAll(async () => {
  const shop = await port(createServer((incoming, answer) => answer.end(JSON.stringify(incoming.headers))));
  const http = await port(createServer((incoming: IncomingMessage, answer: ServerResponse) => {
    asked.push(`web ${incoming.url}`);
    const ok = incoming.headers["x-token"] === "good";
    answer.writeHead(ok ? 200 : 401, { "x-user": "alice", "x-why": "no token" }).end(ok ? "" : "who are you?");
  }));
  const grpcServer = createHttp2Server();
  grpcServer.on("stream", (stream) => {
    let body = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => (body = Buffer.concat([body, chunk]))).on("end", () => {
      asked.push("rpc");
      grpcAnswer(stream, body.includes("let-me-in"));
    });
  });
  const grpc = await port(grpcServer);
  const dir = folder({ "policies.yaml": policies({ shop, http, grpc, gone: NOBODYS_PORT }) });
  for (const modules of ["fused", "separate"] as const) {
    const kinds = modules === "fused" ? (["edge"] as const) : (["authz", "telemetry"] as const);
    const modulePaths: Record<string, string> = {};
    for (const kind of kinds) modulePaths[kind] = (await buildFilter({ entry: `filters/${kind}/assembly/index.ts`, outDir: scratch.path })).path;
    const { config: made, findings } = composeEnvoy(loadPolicies(dir), { moduleDir: scratch.path, modulePaths, adminPort: null, modules, logDenials: true });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    composed[modules] = JSON.stringify(made).replace(/"port_value":8080/g, '"port_value":0');
  }
}, 180_000);

afterAll(async () => {
  for (const node of nodes) await node.stop();
  for (const server of servers) server.close();
  scratch.remove();
});

beforeEach(() => {
  asked = [];
});

interface Reply {
  status: number;
  body: string;
  why: unknown;
}

const ask = (port: number, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (body += chunk)).on("end", () => resolve({ status: answer.statusCode!, body, why: answer.headers["x-why"] }));
    });
    request.on("error", reject).end();
  });

type Engine = "envoy" | "host";

async function launch(engine: Engine, text: string): Promise<number> {
  const config = { ...(JSON.parse(text) as object), admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } } } as never;
  const node = engine === "envoy" ? await startEnvoy({ envoy: await findEnvoy({ containers: false }), config, concurrency: 1 }) : await startHostEngine({ config });
  nodes.push(node);
  return node.port("prod/gw/8080");
}

describe.each((["fused", "separate"] as const).flatMap((modules) => (["envoy", "host"] as const).map((engine) => [modules, engine] as const)))("CUSTOM, modules %s, on %s", (modules, engine) => {
  let at: number;
  beforeAll(async () => void (at = await launch(engine, composed[modules])), 60_000);

  it("asks the provider about what matches, and takes its answer", async () => {
    expect(await ask(at, "/ask", { "x-token": "bad" })).toEqual({ status: 401, body: "who are you?", why: "no token" });
    const good = await ask(at, "/ask", { "x-token": "good" });
    expect(good.status).toBe(200);
    expect(JSON.parse(good.body)).toMatchObject({ "x-user": "alice" });
    expect(asked).toEqual(["web /check/ask", "web /check/ask"]);
  });

  it("doesn't ask about what doesn't match, nor about what is denied anyhow", async () => {
    expect((await ask(at, "/other")).status).toBe(200);
    expect((await ask(at, "/ask/never", { "x-token": "good" })).status).toBe(403);
    expect((await ask(at, "/ask", { "x-token": "good" }, "POST")).status).toBe(403);
    expect(asked).toEqual([]);
  });

  it("asks each workload's own provider", async () => {
    expect((await ask(at, "/bank")).status).toBe(403);
    expect((await ask(at, "/bank", { "x-pass": "let-me-in" })).status).toBe(200);
    expect(asked).toEqual(["rpc", "rpc"]);
  });

  it("denies where the provider can't be reached, unless failOpen says otherwise", async () => {
    expect((await ask(at, "/dead")).status).toBe(503);
    expect((await ask(at, "/lax")).status).toBe(200);
  });

  it("isn't fooled by a client that writes headers named like the mark", async () => {
    expect((await ask(at, "/ask", { selvedge_custom: "-" })).status).toBe(400);
    expect((await ask(at, "/ask", { "selvedge-custom": "-", "wasm.selvedge-custom": "-" })).status).toBe(401);
  });

  it("has every provider look at a request without a mark", async () => {
    const port = await launch(engine, composed[modules].replaceAll("wasm.selvedge_custom", "wasm.nobody_sets_this"));
    // The first of them can't be reached.
    expect((await ask(port, "/other", { "x-token": "good" })).status).toBe(503);
  }, 60_000);

  it("denies where the mark can't be set", async () => {
    const port = await launch(engine, composed[modules].replaceAll('"proxy_set_property":{},', "").replaceAll(',"proxy_set_property":{}', ""));
    expect((await ask(port, "/ask", { "x-token": "good" })).status).toBe(403);
    expect((await ask(port, "/other")).status).toBe(403);
    expect(asked).toEqual([]);
  }, 60_000);
});
