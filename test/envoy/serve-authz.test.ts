/** What authorizers are asked and what follows from their answers: a real Envoy and the host engine, word by word. */
import { createServer, type Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { parseProto, protoBytes, protoNumber, protoText, ProtoWriter } from "../../harness/host/proto.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { NO_METRICS, pathRoute, policyOn, provider, workload } from "../support/resources.ts";
import { doc, folder, gateway, ref } from "../unit/compose/support.ts";
import { askBoth, startBoth, type Ask, type Engines, type Reply } from "./fixtures/engines.ts";

const scratch = temporaryDirectory("serve-authz");
const servers: (Server | Http2Server)[] = [];
let engines: Engines;
let ports: [number, number];
/** What authorizers saw: Envoy's question, then the host engine's. */
let asked: unknown[] = [];
let answer: Uint8Array = new Uint8Array(0);
let verdict: { status: number; headers: [string, string][]; body: string } = { status: 200, headers: [], body: "" };

async function port(server: Server | Http2Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

/** Envoy's own client says where a message comes from; an authorizer has no use for it. */
const own = ([name]: [string, unknown]): boolean => !/^(x-envoy-(?!auth)|x-forwarded-for$|connection$|grpc-timeout$|transfer-encoding$|te$)/.test(name);

function seenByGrpc(headers: object, body: Buffer): unknown {
  const field = (message: Uint8Array, number: number): Uint8Array => protoBytes(parseProto(message) ?? [], number);
  const attributes = field(body.subarray(5), 1);
  const http = parseProto(field(field(attributes, 4), 2))!;
  const peer = (number: number): unknown => {
    const bytes = field(attributes, number);
    return { address: protoText(parseProto(field(field(bytes, 1), 1))!, 2), principal: protoText(parseProto(bytes)!, 4) };
  };
  return {
    wire: Object.fromEntries(Object.entries(headers).filter(own).filter(([name]) => name !== ":scheme" && name !== "content-length").sort()),
    source: peer(1),
    destination: peer(2),
    headers: http.filter(({ number }) => number === 3).map(({ bytes }) => [protoText(parseProto(bytes)!, 1), protoText(parseProto(bytes)!, 2)]).sort(),
    texts: [2, 4, 5, 6, 7, 8, 10, 11, 12].map((number) => protoText(http, number)),
    size: protoNumber(http, 9),
  };
}

beforeAll(async () => {
  const shop = await port(createServer((incoming, reply) => incoming.resume().on("end", () => reply.end(JSON.stringify({ ...incoming.headers, path: incoming.url })))));
  const http = await port(createServer((incoming, reply) => {
    let body = "";
    incoming.on("data", (chunk: Buffer) => (body += chunk.toString())).on("end", () => {
      asked.push({ method: incoming.method, url: incoming.url, headers: Object.entries(incoming.headers).filter(own).sort(), body });
      reply.writeHead(verdict.status, verdict.headers.flat()).end(verdict.body);
    });
  }));
  const grpcServer = createHttp2Server();
  grpcServer.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
      asked.push(seenByGrpc(headers, Buffer.concat(chunks)));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const frame = Buffer.alloc(5 + answer.length);
      frame.writeUInt32BE(answer.length, 1);
      frame.set(answer, 5);
      stream.end(frame);
    });
  });
  const grpc = await port(grpcServer);
  const kinds: Record<string, string> = {
    web: `envoyExtAuthzHttp: { service: http.prod.svc.cluster.local, port: ${http}, pathPrefix: /check, includeRequestHeadersInCheck: [x-token, "x-a-*"], includeAdditionalHeadersInCheck: { x-more: "1", x-a-set: fixed }, headersToUpstreamOnAllow: [x-user, "x-up-*"], headersToDownstreamOnDeny: [x-why, set-cookie], headersToDownstreamOnAllow: [x-told] }`,
    all: `envoyExtAuthzHttp: { service: http.prod.svc.cluster.local, port: ${http} }`,
    body: `envoyExtAuthzHttp: { service: http.prod.svc.cluster.local, port: ${http}, includeRequestBodyInCheck: { maxRequestBytes: 1000 } }`,
    part: `envoyExtAuthzHttp: { service: http.prod.svc.cluster.local, port: ${http}, includeRequestBodyInCheck: { maxRequestBytes: 1000, allowPartialMessage: true } }`,
    rpc: `envoyExtAuthzGrpc: { backendRef: ${ref("grpc")}, timeout: 2s }`,
    rpcbody: `envoyExtAuthzGrpc: { backendRef: ${ref("grpc")}, includeRequestBodyInCheck: { maxRequestBytes: 1000, allowPartialMessage: true, packAsBytes: true } }`,
  };
  const names = Object.keys(kinds);
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": doc(
    gateway("listeners:\n  - { name: http, port: 8080, protocol: HTTP }"),
    workload("http", http), workload("grpc", grpc), ...names.map((name) => workload(name, shop)),
    pathRoute(Object.fromEntries(names.map((name) => [`/${name}`, name]))),
    ...names.map((name) => provider(name, kinds[name]!)),
    ...names.map((name) => policyOn(name, `action: CUSTOM, provider: { name: ${name} }, rules: [{}]`)),
    NO_METRICS,
  ) })), { moduleDir: scratch.path, modulePaths: { authz: path }, modules: "separate", adminPort: null });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(config);
  ports = await engines.ports("prod/gw/8080");
}, 180_000);

afterAll(async () => {
  await engines?.stop();
  for (const server of servers) server.close();
  scratch.remove();
});

beforeEach(() => {
  asked = [];
  verdict = { status: 200, headers: [], body: "" };
  answer = new ProtoWriter().bytes(1, new Uint8Array(0), true).finish();
});

/** The same answer of both, after the same question. */
async function ask(path: string, options: Ask = {}): Promise<Reply> {
  asked = [];
  const reply = await askBoth(ports, path, options);
  expect(asked.length % 2, "questions").toBe(0);
  expect(asked.slice(asked.length / 2), "the host engine's question").toEqual(asked.slice(0, asked.length / 2));
  return reply;
}

describe("over HTTP", () => {
  const sent = { "x-token": ["a", "b"], "x-a-b": "1", "x-a-set": "2", "x-more": "3", authorization: "Basic x", cookie: "c=1", "x-other": "no", "x-user": "root" };
  it.each<[string, typeof verdict]>([
    ["yes", { status: 200, headers: [["x-user", "alice"], ["x-up-1", "a"], ["x-up-1", "b"], ["x-told", "t"], ["x-other", "o"]], body: "ignored" }],
    ["yes, and takes off", { status: 200, headers: [["x-envoy-auth-headers-to-remove", "x-token, x-other, host, :path"]], body: "" }],
    ["201 is no", { status: 201, headers: [["x-why", "w"]], body: "made" }],
    ["no", { status: 403, headers: [["x-why", "w"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-hidden", "h"], ["www-authenticate", "Basic"], ["content-type", "application/json"]], body: "{}" }],
    ["a redirect", { status: 302, headers: [["location", "/login"]], body: "" }],
    ["503 is no answer", { status: 503, headers: [["x-why", "w"]], body: "busy" }],
  ])("%s", async (_, given) => {
    for (const path of ["/web/x?y=1", "/all"]) {
      verdict = given;
      await ask(path, { headers: sent });
      await ask(path, { headers: sent, method: "POST", body: "some" });
    }
  });

  it.each([0, 10, 999, 1000, 1001, 5000, 200_000])("with a body of %i bytes", async (size) => {
    await ask("/body", { method: "POST", body: "x".repeat(size) });
    await ask("/part", { method: "POST", body: "x".repeat(size), headers: { "content-length": String(size) } });
  });
});

describe("over gRPC", () => {
  const header = (key: string, value: string, extra: (writer: ProtoWriter) => ProtoWriter = (writer) => writer): Uint8Array => extra(new ProtoWriter().bytes(1, new ProtoWriter().bytes(1, key).bytes(2, value).finish(), true)).finish();
  const yes = new ProtoWriter().bytes(1, new Uint8Array(0), true);
  const status = (code: number): Uint8Array => new ProtoWriter().varint(1, code).finish();
  const append = (value: boolean) => (writer: ProtoWriter): ProtoWriter => writer.bytes(2, new ProtoWriter().bool(1, value).finish(), true);
  const action = (value: number) => (writer: ProtoWriter): ProtoWriter => writer.varint(3, value);
  const changes = (number: number): ProtoWriter => {
    const ok = new ProtoWriter();
    for (const name of ["x-there", "x-new"]) {
      for (const each of [undefined, append(true), append(false), action(1), action(2), action(3)]) ok.bytes(number, header(each ? name : `${name}-plain`, `${name}-value`, each));
    }
    return ok;
  };
  const single = (name: string, how?: (writer: ProtoWriter) => ProtoWriter): Uint8Array => new ProtoWriter().bytes(1, new Uint8Array(0), true).bytes(3, new ProtoWriter().bytes(2, header(name, "value", how)).finish()).finish();

  it.each<[string, Uint8Array]>([
    ["yes", yes.finish()],
    ["no word about it", new Uint8Array(0)],
    ...(["x-there", "x-new"] as const).flatMap((name) => [undefined, append(true), append(false), action(1), action(2), action(3)].map((how, i): [string, Uint8Array] => [`yes, with ${name}, way ${i}`, single(name, how)])),
    ["yes, with headers taken off", new ProtoWriter().bytes(1, new Uint8Array(0), true).bytes(3, new ProtoWriter().bytes(5, "x-there").bytes(5, ":path").bytes(5, "Host").finish()).finish()],
    ["yes, with headers for the client", new ProtoWriter().bytes(1, new Uint8Array(0), true).bytes(3, changes(6).finish()).finish()],
    ["yes, with parameters", new ProtoWriter().bytes(1, new Uint8Array(0), true).bytes(3, new ProtoWriter().bytes(7, new ProtoWriter().bytes(1, "b").bytes(2, "new").finish()).bytes(7, new ProtoWriter().bytes(1, "z").bytes(2, "9").finish()).bytes(8, "a").finish()).finish()],
    ["no", new ProtoWriter().bytes(1, status(7)).finish()],
    ["no, with words", new ProtoWriter().bytes(1, status(7)).bytes(2, new ProtoWriter().bytes(1, status(418)).bytes(2, header("x-why", "w")).bytes(2, header("x-why", "v")).bytes(3, "tea").finish()).finish()],
    ["no, though it says yes, too", new ProtoWriter().bytes(1, status(7)).bytes(3, new ProtoWriter().bytes(2, header("x-user", "root")).finish()).finish()],
    ["nonsense", Uint8Array.of(0xff, 0xff, 0xff)],
  ])("%s", async (_, given) => {
    answer = given;
    await ask("/rpc/x?b=1&a=2", { headers: { "x-there": ["1", "2"], "x-twice": ["1", "2"], cookie: "a=1" } });
  });

  it.each([0, 10, 1000, 1001, 5000])("with a body of %i bytes", async (size) => {
    await ask("/rpcbody", { method: "POST", body: "x".repeat(size) });
  });
});
