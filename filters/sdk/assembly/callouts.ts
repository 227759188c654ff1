/** HTTP and gRPC calls to clusters of the proxy. Answers reach the root context, with the token given here. */
import {
  proxy_get_status, proxy_grpc_call, proxy_grpc_cancel, proxy_grpc_close, proxy_grpc_send, proxy_grpc_stream, proxy_http_call,
} from "./abi/imports";
import { WasmResultValues } from "./abi/enums";
import { View, address, size, view } from "./bytes";

const out = memory.data(12, 4);

/** The status of the last call made here: why a token is 0. */
export let lastResult: WasmResultValues = WasmResultValues.Ok;

/**
 * Starts an HTTP call; `onHttpCallResponse(token, …)` follows, with 0 headers where the call failed.
 *
 * @param headers serialised pairs with `:method`, `:path` and `:authority`
 * @param timeout in milliseconds
 * @returns the token, or 0 with {@link lastResult} set (an unknown cluster is `BadArgument`)
 */
export function httpCall(cluster: View, headers: ArrayBuffer, body: View, trailers: ArrayBuffer | null, timeout: u32): u32 {
  store<u32>(out, 0);
  lastResult = proxy_http_call(
    address(cluster), size(cluster), changetype<usize>(headers), headers.byteLength, address(body), size(body),
    trailers === null ? 0 : changetype<usize>(trailers), trailers === null ? 0 : trailers.byteLength, timeout, out,
  );
  return lastResult == WasmResultValues.Ok ? load<u32>(out) : 0;
}

/** A unary gRPC call; `upstream` is a cluster name or a serialised `envoy.config.core.v3.GrpcService`. */
export function grpcCall(upstream: View, service: View, method: View, metadata: ArrayBuffer | null, message: View, timeout: u32): u32 {
  store<u32>(out, 0);
  lastResult = proxy_grpc_call(
    address(upstream), size(upstream), address(service), size(service), address(method), size(method),
    metadata === null ? 0 : changetype<usize>(metadata), metadata === null ? 0 : metadata.byteLength,
    address(message), size(message), timeout, out,
  );
  return lastResult == WasmResultValues.Ok ? load<u32>(out) : 0;
}

/** Opens a gRPC stream: then {@link grpcSend}, and `onGrpcReceive` for each answer. */
export function grpcStream(upstream: View, service: View, method: View, metadata: ArrayBuffer | null): u32 {
  store<u32>(out, 0);
  lastResult = proxy_grpc_stream(
    address(upstream), size(upstream), address(service), size(service), address(method), size(method),
    metadata === null ? 0 : changetype<usize>(metadata), metadata === null ? 0 : metadata.byteLength, out,
  );
  return lastResult == WasmResultValues.Ok ? load<u32>(out) : 0;
}

export function grpcSend(token: u32, message: View, endOfStream: bool): WasmResultValues {
  return proxy_grpc_send(token, address(message), size(message), endOfStream ? 1 : 0);
}

/** Ends a call at once, without an answer. */
export function grpcCancel(token: u32): WasmResultValues {
  return proxy_grpc_cancel(token);
}

/** Closes our side of a stream. */
export function grpcClose(token: u32): WasmResultValues {
  return proxy_grpc_close(token);
}

/** Status code of the last callout (gRPC status, or 11 for a failed HTTP call); its message is {@link calloutMessage}. */
export function calloutStatus(): u32 {
  return proxy_get_status(out, out + 4, out + 8) == WasmResultValues.Ok ? load<u32>(out) : 0;
}

export function calloutMessage(): View {
  if (proxy_get_status(out, out + 4, out + 8) != WasmResultValues.Ok) return view(0, 0);
  return view(load<usize>(out + 4), load<u32>(out + 8));
}
