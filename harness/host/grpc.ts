import { fromByteString } from "./bytes.ts";
import { HeaderMap } from "./header-map.ts";
import { mapFromFlat } from "./headers.ts";
import type { HostCalls } from "./imports.ts";
import { parseProto, protoBytes, protoText } from "./proto.ts";
import type { RootContext } from "./root-context.ts";
import type { Timer } from "./time.ts";
import { Status } from "./types.ts";
import type { GrpcAnswer, GrpcCall, GrpcPeer, GrpcStreamHandler } from "./upstreams.ts";
import type { Vm } from "./vm.ts";

const CALL_ID_STEP = 4;
const KIND_MASK = 3;
const CALL = 1;
const STREAM = 2;
const UNAVAILABLE = 14;

/** What Envoy reports when it cannot connect. */
const CONNECTION_FAILURE: GrpcAnswer = {
  status: UNAVAILABLE,
  statusMessage: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
};
const CONNECTION_FAILURE_DETAILS = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";

/** Envoy's message of a closed call: the server's text and, in braces, the response code details. */
const closeMessage = (message: string, details: string): string => (message === "" ? details : `${message}{${details}}`);

/** A gRPC call or stream under way. */
export interface PendingGrpc {
  cancel(): void;
  handler?: GrpcStreamHandler | undefined;
  localClosed: boolean;
  remoteClosed: boolean;
  /** The module's last message has been sent. */
  sentAll?: boolean;
}

/** The cluster that a target names: a serialised `GrpcService`, or the cluster's name. */
function targetCluster(vm: Vm, target: Uint8Array): { cluster?: string; status: number } {
  const fields = parseProto(target);
  if (fields === undefined) {
    const name = Buffer.from(target).toString("utf8");
    return vm.host.cluster(name) === undefined ? { status: Status.ParseFailure } : { cluster: name, status: Status.Ok };
  }
  const envoyGrpc = parseProto(protoBytes(fields, 1));
  const cluster = envoyGrpc && protoText(envoyGrpc, 1);
  return cluster === undefined || cluster === "" ? { status: Status.BadArgument } : { cluster, status: Status.Ok };
}

/** gRPC calls and streams of modules, answered by the test's upstreams. */
export function grpcCalls(vm: Vm): HostCalls {
  const describe = (cluster: string, service: string, method: string, metadata: HeaderMap, message: Uint8Array | undefined, timeoutMs: number): GrpcCall => ({
    cluster,
    service: fromByteString(service),
    method: fromByteString(method),
    initialMetadata: metadata.toList(),
    message,
    timeoutMs,
    plugin: vm.context.root.plugin?.name ?? "",
    thread: vm.thread.name,
    timeMs: Number(vm.host.clock.wallNs() / 1_000_000n),
  });
  const root = (): RootContext => vm.context.root as RootContext;

  /** Envoy reports an unknown cluster at once, and again through on_grpc_close. */
  const unreachable = (token: number): number => {
    const context = root();
    vm.defer(() => context.deliverGrpcClose(token, UNAVAILABLE, "Cluster not available"));
    return Status.InternalFailure;
  };

  const cancelOrClose = (token: number, reset: boolean): number => {
    token >>>= 0;
    const kind = token & KIND_MASK;
    if (kind !== CALL && kind !== STREAM) return Status.BadArgument;
    const calls = root().grpcCalls;
    const pending = calls.get(token);
    if (pending === undefined) return Status.NotFound;
    if (kind === CALL || reset) {
      pending.cancel();
      calls.delete(token);
      if (kind === STREAM) pending.handler?.onReset?.();
      return Status.Ok;
    }
    pending.handler?.onClose?.();
    if (pending.remoteClosed) calls.delete(token);
    else pending.localClosed = true;
    return Status.Ok;
  };

  return {
    proxy_grpc_call(
      targetAt: number, targetSize: number,
      serviceAt: number, serviceSize: number,
      methodAt: number, methodSize: number,
      metadataAt: number, metadataSize: number,
      messageAt: number, messageSize: number,
      timeoutMs: number,
      tokenOut: number,
    ) {
      const target = vm.memory.copy(targetAt, targetSize);
      const service = vm.memory.text(serviceAt, serviceSize);
      const method = vm.memory.text(methodAt, methodSize);
      const metadata = vm.memory.slice(metadataAt, metadataSize);
      const message = vm.memory.copy(messageAt, messageSize);
      if (target === undefined || service === undefined || method === undefined || metadata === undefined || message === undefined) return Status.InvalidMemoryAccess;
      const { cluster, status } = targetCluster(vm, target);
      if (status === Status.ParseFailure) return status;
      const token = (vm.nextCallId[1]! += CALL_ID_STEP);
      if (cluster === undefined) return status;
      const upstream = vm.host.cluster(cluster);
      if (upstream === undefined) return unreachable(token);
      const call = describe(cluster, service, method, mapFromFlat(vm.pairs("proxy_grpc_call", metadata)), message, timeoutMs);
      vm.host.recordGrpcCall(call);
      startCall(root(), token, call, typeof upstream.grpc === "function" ? upstream.grpc(call) : (upstream.grpc ?? { status: 12, statusMessage: "" }));
      return vm.memory.setU32(tokenOut, token) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_grpc_stream(
      targetAt: number, targetSize: number,
      serviceAt: number, serviceSize: number,
      methodAt: number, methodSize: number,
      metadataAt: number, metadataSize: number,
      tokenOut: number,
    ) {
      const target = vm.memory.copy(targetAt, targetSize);
      const service = vm.memory.text(serviceAt, serviceSize);
      const method = vm.memory.text(methodAt, methodSize);
      const metadata = vm.memory.slice(metadataAt, metadataSize);
      if (target === undefined || service === undefined || method === undefined || metadata === undefined) return Status.InvalidMemoryAccess;
      const { cluster, status } = targetCluster(vm, target);
      if (status === Status.ParseFailure) return status;
      const token = (vm.nextCallId[2]! += CALL_ID_STEP);
      if (cluster === undefined) return status;
      const upstream = vm.host.cluster(cluster);
      if (upstream === undefined) return unreachable(token);
      const call = describe(cluster, service, method, mapFromFlat(vm.pairs("proxy_grpc_stream", metadata)), undefined, 0);
      vm.host.recordGrpcCall(call);
      const pending: PendingGrpc = { cancel: () => {}, localClosed: false, remoteClosed: false };
      root().grpcCalls.set(token, pending);
      const peer = streamPeer(root(), token, pending);
      pending.handler = upstream.grpcStream?.(call, peer) ?? {};
      if (upstream.grpcStream === undefined) peer.close(12);
      return vm.memory.setU32(tokenOut, token) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_grpc_send(token: number, messageAt: number, messageSize: number, endOfStream: number) {
      const message = vm.memory.copy(messageAt, messageSize);
      if (message === undefined) return Status.InvalidMemoryAccess;
      token >>>= 0;
      if ((token & KIND_MASK) !== STREAM) return Status.BadArgument;
      const pending = root().grpcCalls.get(token);
      if (pending === undefined) return Status.NotFound;
      if (!pending.sentAll && !pending.localClosed) pending.handler?.onMessage?.(message, endOfStream !== 0); // after its end nothing is sent
      pending.sentAll ||= endOfStream !== 0;
      return Status.Ok;
    },

    // A call is cancelled by both; a stream is half-closed by the one and reset by the other.
    proxy_grpc_close: (token: number) => cancelOrClose(token, false),
    proxy_grpc_cancel: (token: number) => cancelOrClose(token, true),
  };
}

/** Unary: a message arrives through on_grpc_receive alone, a failure through on_grpc_close alone. */
function startCall(root: RootContext, token: number, call: GrpcCall, given: "timeout" | "connectionFailure" | GrpcAnswer): void {
  const { clock } = root.vm.host;
  const answer = given === "connectionFailure" ? CONNECTION_FAILURE : given;
  const finish = (deliver: () => void) => () => {
    if (root.grpcCalls.delete(token)) deliver();
  };
  let timer: Timer | undefined;
  const delay = answer === "timeout" ? Infinity : (answer.delayMs ?? 0);
  if (call.timeoutMs > 0 && delay > call.timeoutMs) {
    timer = clock.after(call.timeoutMs, finish(() => root.deliverGrpcClose(token, UNAVAILABLE, closeMessage("upstream request timeout", "response_timeout"))));
  } else if (answer !== "timeout") {
    const { status = 0, statusMessage = "", message = new Uint8Array(0) } = answer;
    const details = given === "connectionFailure" ? CONNECTION_FAILURE_DETAILS : "via_upstream";
    timer = clock.after(delay, finish(() => (status === 0 ? root.deliverGrpcMessage(token, message) : root.deliverGrpcClose(token, status, closeMessage(statusMessage, details)))));
  }
  root.grpcCalls.set(token, { cancel: () => timer?.cancel(), localClosed: true, remoteClosed: false });
}

function streamPeer(root: RootContext, token: number, pending: PendingGrpc): GrpcPeer {
  const later = (deliver: () => void) =>
    root.vm.host.post(() => {
      if (root.grpcCalls.get(token) === pending && !pending.remoteClosed) deliver();
    });
  return {
    sendInitialMetadata: (metadata) => later(() => root.deliverGrpcInitial(token, HeaderMap.from(metadata))),
    send: (message) => later(() => root.deliverGrpcMessage(token, message)),
    sendTrailingMetadata: (metadata) => later(() => root.deliverGrpcTrailing(token, HeaderMap.from(metadata))),
    close: (status, message = "") =>
      later(() => {
        pending.remoteClosed = true;
        root.deliverGrpcClose(token, status, closeMessage(message, "via_upstream"));
        if (pending.localClosed) root.grpcCalls.delete(token);
      }),
  };
}
