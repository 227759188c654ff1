import { FixedBuffer } from "./byte-buffer.ts";
import { fromByteString, toBytes } from "./bytes.ts";
import { HeaderMap } from "./header-map.ts";
import { mapFromFlat } from "./headers.ts";
import type { HostCalls } from "./imports.ts";
import type { RootContext } from "./root-context.ts";
import { requestProblem } from "./router-rules.ts";
import { Status } from "./types.ts";
import type { DnsAnswer, HttpAnswer, HttpCall } from "./upstreams.ts";
import type { Vm } from "./vm.ts";

const CALL_ID_STEP = 4;

/** What Envoy itself answers in place of an upstream. */
const LOCAL_ANSWERS = {
  timeout: { status: 504, body: "upstream request timeout" },
  connectionFailure: { status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure" },
  connectionTermination: { status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination" },
} as const;

/** HTTP callouts and DNS look-ups. They belong to the root context, and answer after the callback has returned. */
export function calloutCalls(vm: Vm): HostCalls {
  return {
    proxy_http_call(
      clusterAt: number, clusterSize: number,
      headersAt: number, headersSize: number,
      bodyAt: number, bodySize: number,
      trailersAt: number, trailersSize: number,
      timeoutMs: number,
      tokenOut: number,
    ) {
      const root = vm.context.root as RootContext;
      const cluster = vm.memory.text(clusterAt, clusterSize);
      const body = vm.memory.copy(bodyAt, bodySize);
      const headers = vm.memory.slice(headersAt, headersSize);
      const trailers = vm.memory.slice(trailersAt, trailersSize);
      if (cluster === undefined || body === undefined || headers === undefined || trailers === undefined) return Status.InvalidMemoryAccess;
      const headerMap = mapFromFlat(vm.pairs("proxy_http_call", headers), "request");
      const trailerMap = mapFromFlat(vm.pairs("proxy_http_call", trailers));
      if (!vm.memory.setU32(tokenOut, 0)) return Status.InvalidMemoryAccess;
      if (timeoutMs < 0) return Status.BadArgument;
      const upstream = vm.host.cluster(fromByteString(cluster));
      if (upstream === undefined) return Status.BadArgument;
      if ([":path", ":method", ":authority"].some((name) => headerMap.get(name) === undefined)) return Status.BadArgument;
      if (body.length > 0) headerMap.set("content-length", String(body.length));
      const token = (vm.nextCallId[0]! += CALL_ID_STEP);
      const call: HttpCall = {
        cluster: fromByteString(cluster),
        headers: headerMap.toList(),
        body,
        trailers: trailerMap.toList(),
        timeoutMs,
        plugin: root.plugin?.name ?? "",
        thread: vm.thread.name,
        timeMs: Number(vm.host.clock.wallNs() / 1_000_000n),
      };
      vm.host.recordCall(call);
      const problem = requestProblem(headerMap);
      if (problem === undefined) dispatch(root, token, call, vm.host.callAnswer(upstream, call));
      else root.httpCalls.set(token, vm.host.clock.after(0, () => deliverOwn(root, token, { status: 503, body: problem })));
      vm.memory.setU32(tokenOut, token);
      return Status.Ok;
    },

    envoy_resolve_dns(addressAt: number, addressSize: number, tokenOut: number) {
      const root = vm.context.root as RootContext;
      const address = vm.memory.text(addressAt, addressSize);
      if (address === undefined) return Status.InvalidMemoryAccess;
      const token = vm.host.nextDnsToken++;
      if (!vm.memory.setU32(tokenOut, token)) return Status.InvalidMemoryAccess;
      const answer = vm.host.dns(fromByteString(address));
      vm.host.post(() => root.deliverDns(token, answer && encodeDns(answer)));
      return Status.Ok;
    },
  };
}

/** Starts a callout: its answer comes by the host's clock, at the latest when the time-out ends. */
function dispatch(root: RootContext, token: number, call: HttpCall, answer: HttpAnswer | Promise<HttpAnswer>): void {
  const { clock } = root.vm.host;
  root.httpCalls.set(token, undefined);
  if (answer instanceof Promise) {
    const host = root.vm.host;
    if (call.timeoutMs > 0) root.httpCalls.set(token, clock.after(call.timeoutMs, () => deliver(root, token, call, "timeout")));
    host.waitFor(answer.then((given) => settle(root, token, { ...call, timeoutMs: 0 }, given)));
  } else settle(root, token, call, answer);
}

function settle(root: RootContext, token: number, call: HttpCall, answer: HttpAnswer): void {
  const { clock } = root.vm.host;
  if (!root.httpCalls.has(token)) return; // the time-out came first, or the plugin is gone
  root.httpCalls.get(token)?.cancel();
  const delay = typeof answer === "string" ? 0 : (answer.delayMs ?? 0);
  const timesOut = answer === "timeout" || (call.timeoutMs > 0 && delay > call.timeoutMs);
  if (timesOut) {
    if (call.timeoutMs > 0) root.httpCalls.set(token, clock.after(call.timeoutMs, () => deliver(root, token, call, "timeout")));
  } else {
    root.httpCalls.set(token, clock.after(delay, () => deliver(root, token, call, answer)));
  }
}

function deliver(root: RootContext, token: number, { timeMs, headers: asked }: HttpCall, answer: HttpAnswer): void {
  const failure = typeof answer === "string" ? answer : "fail" in answer ? answer.fail : undefined;
  if (failure === "reset") {
    root.failHttp(token, Status.BrokenConnection, "reset");
    return;
  }
  const local = failure === undefined ? undefined : LOCAL_ANSWERS[failure];
  if (local !== undefined) return deliverOwn(root, token, local);
  const given = answer as Exclude<HttpAnswer, string | { fail: unknown }>;
  const headers = HeaderMap.fromPairs([[":status", String(given.status ?? 200)]], "response");
  const rest = HeaderMap.from(given.headers);
  for (let i = 0; i < rest.entries.length; i += 2) headers.add(rest.entries[i]!, rest.entries[i + 1]!);
  headers.assign("x-envoy-upstream-service-time", String(Math.max(0, Number(root.vm.host.clock.wallNs() / 1_000_000n) - timeMs)));
  root.deliverHttp(token, {
    headers,
    trailers: given.trailers === undefined ? undefined : HeaderMap.from(given.trailers, "responseTrailers"),
    body: new FixedBuffer(toBytes(asked.some(([name, value]) => name === ":method" && value === "HEAD") ? "" : (given.body ?? ""))),
  });
}

/** An answer that Envoy makes itself. */
function deliverOwn(root: RootContext, token: number, { status, body }: { status: number; body: string }): void {
  const headers = HeaderMap.fromPairs([[":status", String(status)], ["content-length", String(body.length)], ["content-type", "text/plain"]], "response");
  root.deliverHttp(token, { headers, trailers: undefined, body: new FixedBuffer(toBytes(body)) });
}

function encodeDns(answers: readonly DnsAnswer[]): Uint8Array {
  const head = Buffer.alloc(4 + answers.length * 4);
  head.writeUInt32LE(answers.length, 0);
  answers.forEach((answer, i) => head.writeUInt32LE(answer.ttl, 4 + i * 4));
  return Buffer.concat([head, ...answers.map((answer) => Buffer.from(`${answer.address}\0`, "latin1"))]);
}
