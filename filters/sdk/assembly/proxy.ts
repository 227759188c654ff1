/**
 * The module's exports: `export * from ".../sdk/assembly/proxy"` in a filter's index.ts. The build drops every callback
 * here whose method no class of the filter overrides.
 */
import "./abi/abort";
import { allocateForCallback, enter, leave } from "./memory";
import { base, create, remove, root, stream } from "./registry";

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: u32): usize {
  return allocateForCallback(size);
}

export function proxy_on_context_create(id: u32, parent: u32): void {
  enter();
  create(id, parent);
  leave();
}

export function proxy_on_vm_start(id: u32, size: u32): u32 {
  enter();
  const ok = root(id).onStart(size);
  leave();
  return u32(ok);
}

export function proxy_validate_configuration(id: u32, size: u32): u32 {
  enter();
  const ok = root(id).validateConfiguration(size);
  leave();
  return u32(ok);
}

export function proxy_on_configure(id: u32, size: u32): u32 {
  enter();
  const ok = root(id).onConfigure(size);
  leave();
  return u32(ok);
}

export function proxy_on_tick(id: u32): void {
  enter();
  root(id).onTick();
  leave();
}

export function proxy_on_queue_ready(id: u32, token: u32): void {
  enter();
  root(id).onQueueReady(token);
  leave();
}

export function proxy_on_foreign_function(id: u32, function_id: u32, size: u32): void {
  enter();
  root(id).onForeignFunction(function_id, size);
  leave();
}

export function proxy_on_http_call_response(id: u32, token: u32, headers: u32, body: u32, trailers: u32): void {
  enter();
  root(id).onHttpCallResponse(token, headers, body, trailers);
  leave();
}

export function proxy_on_grpc_receive_initial_metadata(id: u32, token: u32, headers: u32): void {
  enter();
  root(id).onGrpcReceiveInitialMetadata(token, headers);
  leave();
}

export function proxy_on_grpc_receive(id: u32, token: u32, size: u32): void {
  enter();
  root(id).onGrpcReceive(token, size);
  leave();
}

export function proxy_on_grpc_receive_trailing_metadata(id: u32, token: u32, trailers: u32): void {
  enter();
  root(id).onGrpcReceiveTrailingMetadata(token, trailers);
  leave();
}

export function proxy_on_grpc_close(id: u32, token: u32, status: u32): void {
  enter();
  root(id).onGrpcClose(token, status);
  leave();
}

export function proxy_on_new_connection(id: u32): u32 {
  enter();
  const status = stream(id).onNewConnection();
  leave();
  return status;
}

export function proxy_on_downstream_data(id: u32, size: u32, end: u32): u32 {
  enter();
  const status = stream(id).onDownstreamData(size, end != 0);
  leave();
  return status;
}

export function proxy_on_upstream_data(id: u32, size: u32, end: u32): u32 {
  enter();
  const status = stream(id).onUpstreamData(size, end != 0);
  leave();
  return status;
}

export function proxy_on_downstream_connection_close(id: u32, peer: u32): void {
  enter();
  stream(id).onDownstreamConnectionClose(peer);
  leave();
}

export function proxy_on_upstream_connection_close(id: u32, peer: u32): void {
  enter();
  stream(id).onUpstreamConnectionClose(peer);
  leave();
}

export function proxy_on_request_headers(id: u32, headers: u32, end: u32): u32 {
  enter();
  const status = stream(id).onRequestHeaders(headers, end != 0);
  leave();
  return status;
}

export function proxy_on_request_metadata(id: u32, elements: u32): u32 {
  enter();
  const status = stream(id).onRequestMetadata(elements);
  leave();
  return status;
}

export function proxy_on_request_body(id: u32, size: u32, end: u32): u32 {
  enter();
  const status = stream(id).onRequestBody(size, end != 0);
  leave();
  return status;
}

export function proxy_on_request_trailers(id: u32, trailers: u32): u32 {
  enter();
  const status = stream(id).onRequestTrailers(trailers);
  leave();
  return status;
}

export function proxy_on_response_headers(id: u32, headers: u32, end: u32): u32 {
  enter();
  const status = stream(id).onResponseHeaders(headers, end != 0);
  leave();
  return status;
}

export function proxy_on_response_metadata(id: u32, elements: u32): u32 {
  enter();
  const status = stream(id).onResponseMetadata(elements);
  leave();
  return status;
}

export function proxy_on_response_body(id: u32, size: u32, end: u32): u32 {
  enter();
  const status = stream(id).onResponseBody(size, end != 0);
  leave();
  return status;
}

export function proxy_on_response_trailers(id: u32, trailers: u32): u32 {
  enter();
  const status = stream(id).onResponseTrailers(trailers);
  leave();
  return status;
}

export function proxy_on_done(id: u32): u32 {
  enter();
  const done = base(id).onDone();
  leave();
  return u32(done);
}

export function proxy_on_log(id: u32): void {
  enter();
  stream(id).onLog();
  leave();
}

export function proxy_on_delete(id: u32): void {
  enter();
  base(id).onDelete();
  remove(id);
  leave();
}
