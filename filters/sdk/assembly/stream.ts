/** What a filter does to the stream itself: answer, resume, end, re-route. */
import { proxy_close_stream, proxy_continue_stream, proxy_send_local_response } from "./abi/imports";
import { GrpcStatusValues, StreamTypeValues, WasmResultValues } from "./abi/enums";
import { View, address, size, view } from "./bytes";

/**
 * Answers the request here; it goes no further. Takes effect when the callback returns, so return `StopIteration` after it.
 * Response callbacks still run, for this reply.
 *
 * @param status HTTP status
 * @param details shown as `%RESPONSE_CODE_DETAILS%` in access logs, never sent to the client; no whitespace
 * @param headers serialised pairs (`PairsWriter.finish`), or null
 * @param grpcStatus for a gRPC request; Envoy derives one from the HTTP status where it is `InvalidCode`
 */
export function sendLocalResponse(
  status: u32, details: View, body: View, headers: ArrayBuffer | null = null, grpcStatus: GrpcStatusValues = GrpcStatusValues.InvalidCode,
): WasmResultValues {
  return proxy_send_local_response(
    status, address(details), size(details), address(body), size(body),
    headers === null ? 0 : changetype<usize>(headers), headers === null ? 0 : headers.byteLength, grpcStatus,
  );
}

/** Resumes a stream that a callback had stopped; from another context, set that stream effective first. */
export function continueRequest(): WasmResultValues {
  return proxy_continue_stream(StreamTypeValues.Request);
}

export function continueResponse(): WasmResultValues {
  return proxy_continue_stream(StreamTypeValues.Response);
}

/** Ends a TCP connection (`Downstream`, `Upstream`) or resets an HTTP stream. */
export function closeStream(type: StreamTypeValues): WasmResultValues {
  return proxy_close_stream(type);
}

/** No bytes: for a body or details that are left out. */
export const EMPTY: View = view(0, 0);
