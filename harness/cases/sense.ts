/** What a schema can't say about a case: fields that exclude or need each other. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import type { ClustersSpec } from "./schema-calls.ts";
import type { CaseSpec, ConnectionSpec, EngineName, ExpectSpec, RequestSpec, UpstreamSpec } from "./schema.ts";

/** True when there is nothing to report. */
export function checkSense(spec: CaseSpec, path: Path, source: Source, report: Report): boolean {
  const before = report.findings.length;
  const refuse = (field: Path, message: string, fix?: string): void => report.error("case-contradiction", source, [...path, ...field], message, { part: "key", fix });

  if (spec.engines !== undefined && new Set(spec.engines).size === 1 && spec.because === undefined) refuse(["engines"], "a case that only one engine can run says why", "add `because: …`");
  if (spec.because !== undefined && spec.engines === undefined) refuse(["because"], "`because` explains `engines`, and there is none");

  const refused = spec.expect?.["configuration-error"] !== undefined;
  if (refused) {
    for (const field of ["request", "connection", "upstream", "clusters", "repeat", "steps"] as const) if (spec[field] !== undefined) refuse([field], `nothing reaches a filter whose configuration is refused: \`${field}\` says nothing`);
    if (Object.keys(spec.expect!).length > 1) refuse(["expect"], "where the configuration is refused there is nothing else to expect");
  } else if (spec.steps !== undefined) {
    for (const field of ["repeat", "expect"] as const) if (spec[field] !== undefined) refuse([field], `with \`steps\`, each has its own \`${field}\``);
    if (spec.steps.every(({ expect }) => empty(expect))) refuse(["steps"], "none of the steps expects anything");
    spec.steps.forEach((step, index) => {
      if (step.expect?.["configuration-error"] !== undefined) refuse(["steps", index, "expect", "configuration-error"], "a configuration is refused before the first step", "a case of its own without `steps`");
      checkKind(step, spec, ["steps", index], refuse);
      checkStep({ ...step, request: { ...spec.request, ...step.request } }, spec, ["steps", index], refuse);
    });
  } else {
    if (empty(spec.expect)) refuse(spec.expect === undefined ? [] : ["expect"], "this case expects nothing", "add `expect: { status: 200 }`");
    checkKind(spec, spec, [], refuse);
    checkStep(spec, spec, [], refuse);
  }
  return report.findings.length === before;
}

/** The one engine that a case is for, if there is just one. */
const only = ({ engines }: CaseSpec): EngineName | undefined => (new Set(engines).size === 1 ? engines![0] : undefined);

type Refuse = (field: Path, message: string, fix?: string) => void;

const OF_REQUESTS = ["status", "headers", "body", "body-contains", "trailers", "grpc", "complete", "denied", "route", "arm", "share"] as const;
const OF_CONNECTIONS = ["received", "closed"] as const;

interface Sends {
  wait?: string;
  request?: RequestSpec;
  connection?: ConnectionSpec;
  upstream?: UpstreamSpec;
  repeat?: number;
  expect?: ExpectSpec;
}

/** A request or a connection: what belongs to the one says nothing of the other. */
function checkKind(step: Sends, spec: CaseSpec, at: Path, refuse: Refuse): void {
  if (step.request !== undefined && step.connection !== undefined) return refuse([...at, "connection"], "a request has a connection of its own: give the one or the other", "make two cases, or two steps");
  const connects = step.connection !== undefined || (spec.connection !== undefined && step.request === undefined);
  const { upstream, expect } = step;
  const refuseAll = (within: Path, given: object | undefined, fields: readonly string[], words: string): void => {
    for (const field of fields) if (given !== undefined && (given as Record<string, unknown>)[field] !== undefined) refuse([...at, ...within, field], `\`${field}\` says nothing of a ${words}`, connects ? "say what is `received`, and by whom the connection is `closed`" : "give a `connection` instead of a `request`");
  };
  if (connects) {
    const tls = { ...spec.connection, ...step.connection };
    refuseAll(["expect"], expect, OF_REQUESTS, "connection");
    refuseAll(["expect", "upstream"], expect?.upstream, ["headers", "body", "path", "trailers", "messages"], "connection");
    refuseAll(["upstream"], upstream, Object.keys(upstream ?? {}).filter((field) => field !== "send"), "connection");
    if (expect?.upstream?.connected !== undefined && (tls.tls || tls.peer !== undefined || tls.sni !== undefined)) refuse([...at, "expect", "upstream", "connected"], "with TLS the upstream may hear of a connection that is denied at its first byte", 'expect `upstream: { received: "" }`');
    const { direct } = step.connection ?? {};
    if (direct !== undefined && !direct.startsWith("127.")) refuse([...at, "connection", "direct"], "the physical peer is on this machine: an address in 127.0.0.0/8", "`source` takes any address");
  } else {
    refuseAll(["expect"], expect, OF_CONNECTIONS, "request");
    refuseAll(["expect", "upstream"], expect?.upstream, ["received", "connected"], "request");
    refuseAll(["upstream"], upstream, ["send"], "request");
  }
}

function checkRequest(request: RequestSpec | undefined, engine: EngineName | undefined, at: Path, refuse: Refuse): void {
  if (request === undefined) return;
  if (request.raw !== undefined) {
    if (engine !== "envoy") refuse([...at, "request", "raw"], "raw bytes need a proxy that reads them", "add `engines: [envoy]` and `because: …`");
    for (const field of ["method", "path", "host", "headers", "body", "trailers", "grpc", "protocol"] as const) if (request[field] !== undefined) refuse([...at, "request", field], `\`raw\` is the whole request: \`${field}\` says nothing`);
    return;
  }
  if (request.grpc !== undefined && request.body !== undefined) refuse([...at, "request", "body"], "`grpc` is the body of this request");
  // What Node's client, or any, refuses to send.
  if (request.path !== undefined && request.protocol !== "http2" && request.grpc === undefined && /[^\u0021-\u00ff]/.test(request.path)) refuse([...at, "request", "path"], "a path in HTTP/1 holds no space, no control character and nothing beyond Latin-1", "send it with `raw`, or by `protocol: http2`");
  const headers = Array.isArray(request.headers) ? request.headers : Object.entries(request.headers ?? {});
  const names = headers.map(([name]) => String(name));
  const raw = "send it with `raw`";
  if (request.method !== undefined && !TOKEN.test(request.method)) refuse([...at, "request", "method"], `no client sends the method ${JSON.stringify(request.method)}`, raw);
  for (const name of names) if (!TOKEN.test(name.replace(/^:/, ""))) refuse([...at, "request", "headers"], `no client sends a header named ${JSON.stringify(name)}`, raw);
  for (const [name, value] of headers) if ([value].flat().some((each) => /[\0\r\n]/.test(String(each)))) refuse([...at, "request", "headers"], `the value of ${JSON.stringify(name)} has a line break or a NUL in it`, raw);
  if (names.some((name) => name.toLowerCase() === "content-length") && request.abort === undefined) refuse([...at, "request", "headers"], "a client says by itself how long the body is; with another length it would wait for ever", "leave `content-length` out; to say something wrong, send it with `raw`");
  if (request.protocol === "http2" || request.grpc !== undefined) {
    for (const name of names) if (CONNECTION_HEADERS.has(name.toLowerCase())) refuse([...at, "request", "headers"], `HTTP/2 has no \`${name}\``);
  }
}

/** RFC 9110, section 5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** RFC 9113, section 8.2.2 */
const CONNECTION_HEADERS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

function checkMasks(snapshot: ExpectSpec["snapshot"], at: Path, refuse: Refuse): void {
  if (typeof snapshot !== "object" || Array.isArray(snapshot)) return;
  snapshot.mask.forEach((source, index) => {
    try {
      new RegExp(source);
    } catch (error) {
      refuse([...at, "mask", index], (error as Error).message);
    }
  });
}

function checkClusters(clusters: ClustersSpec, at: Path, refuse: Refuse): void {
  for (const [name, given] of Object.entries(clusters)) {
    const answers = [given].flat();
    const field = (index: number, ...rest: Path): Path => [...at, "clusters", name, ...(Array.isArray(given) ? [index] : []), ...rest];
    answers.forEach((answer, index) => {
      if (answer.fail === "connect" && answers.length > 1) refuse(field(index, "fail"), "a cluster to which nobody listens has no other answer", "give `fail: connect` alone, or another cluster");
      if (answer.fail !== undefined) for (const other of ["status", "headers", "body", "trailers", "grpc"] as const) if (answer[other] !== undefined) refuse(field(index, other), `where the call fails there is no answer: \`${other}\` says nothing`);
      if (answer.grpc !== undefined) for (const other of ["status", "headers", "body", "trailers"] as const) if (answer[other] !== undefined) refuse(field(index, other), `\`grpc\` is the whole answer: \`${other}\` says nothing`);
    });
  }
}

function checkStep(step: { request?: RequestSpec; clusters?: ClustersSpec; expect?: ExpectSpec; repeat?: number }, spec: CaseSpec, at: Path, refuse: (field: Path, message: string, fix?: string) => void): void {
  if (step.request?.properties !== undefined && !(spec.engines?.length === 1 && spec.engines[0] === "host")) refuse([...at, "request", "properties"], "properties can be pinned on the host engine only", "add `engines: [host]` and `because: …`");
  const { expect } = step;
  checkRequest(step.request, only(spec), at, refuse);
  checkClusters(step.clusters ?? {}, at, refuse);
  checkMasks(expect?.snapshot, [...at, "expect", "snapshot"], refuse);
  if (expect?.share !== undefined && step.repeat === undefined) refuse([...at, "expect", "share"], "a share of one request says nothing", "add `repeat: 1000`");
  if (step.request?.direct !== undefined && !step.request.direct.startsWith("127.")) refuse([...at, "request", "direct"], "the physical peer is on this machine: an address in 127.0.0.0/8", "`source` takes any address");
}

function empty(expect: ExpectSpec | undefined): boolean {
  return expect === undefined || Object.keys(expect).length === 0;
}
