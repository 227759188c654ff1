/** The other host calls: stream control, properties, buffers, timers, status, foreign functions. */
import { BufferTypeValues, GrpcStatusValues, LogLevelValues, WasmResultValues } from "../assembly/abi/enums";
import {
  proxy_done, proxy_get_buffer_status, proxy_get_log_level, proxy_get_status, proxy_set_effective_context as setEffectiveContext,
} from "../assembly/abi/imports";
import { getBuffer } from "../assembly/buffers";
import { view } from "../assembly/bytes";
import { now, setTickPeriod } from "../assembly/clock";
import { callForeign, clearRouteCache, lastForeignResult } from "../assembly/foreign";
import { getProperty, setProperty } from "../assembly/properties";
import { continueRequest, continueResponse, sendLocalResponse } from "../assembly/stream";
import { copyToBuffer, viewOf } from "./bytes";
import { Headers, serializeHeaders } from "./headers";

const out = memory.data(12, 4);

export function continue_request(): WasmResultValues {
  return continueRequest();
}

export function continue_response(): WasmResultValues {
  return continueResponse();
}

/** Answers the request here; return `StopIteration` after it. */
export function send_local_response(
  response_code: u32, response_code_details: string, body: ArrayBuffer, additional_headers: Headers, grpc_status: GrpcStatusValues,
): WasmResultValues {
  const details = String.UTF8.encode(response_code_details);
  return sendLocalResponse(response_code, viewOf(details), viewOf(body), serializeHeaders(additional_headers), grpc_status);
}

export function clear_route_cache(): WasmResultValues {
  clearRouteCache();
  return lastForeignResult;
}

/** Host calls that follow act on that context's stream. */
export function proxy_set_effective_context(_id: u32): WasmResultValues {
  return setEffectiveContext(_id);
}

/** The raw value; empty where there is none. Segments of the path are joined by NUL. */
export function get_property(path: string): ArrayBuffer {
  const bytes = String.UTF8.encode(path);
  return copyToBuffer(getProperty(viewOf(bytes)));
}

export function set_property(path: string, data: ArrayBuffer): WasmResultValues {
  const bytes = String.UTF8.encode(path);
  return setProperty(viewOf(bytes), viewOf(data));
}

/** Empty where there is no such buffer now. */
export function get_buffer_bytes(typ: BufferTypeValues, start: u32, length: u32): ArrayBuffer {
  return copyToBuffer(getBuffer(typ, start, length));
}

class BufferStatusResult {
  result: WasmResultValues = WasmResultValues.Ok;
  length: usize = 0;
  flags: u32 = 0;
}

export function get_buffer_status(typ: BufferTypeValues): BufferStatusResult {
  const answer = new BufferStatusResult();
  answer.result = proxy_get_buffer_status(typ, out, out + 4);
  if (answer.result != WasmResultValues.Ok) return answer;
  answer.length = load<u32>(out);
  answer.flags = load<u32>(out + 4);
  return answer;
}

export function set_tick_period_milliseconds(millisecond: u32): void {
  setTickPeriod(millisecond);
}

export function get_current_time_nanoseconds(): u64 {
  return now();
}

class StatusWithData {
  status: u32 = 0;
  data: ArrayBuffer = new ArrayBuffer(0);
}

/** Status and message of the last callout. */
export function get_status(): StatusWithData {
  const answer = new StatusWithData();
  if (proxy_get_status(out, out + 4, out + 8) != WasmResultValues.Ok) return answer;
  answer.status = load<u32>(out);
  answer.data = copyToBuffer(view(load<usize>(out + 4), load<u32>(out + 8)));
  return answer;
}

/** The lowest level that is printed. */
export function logLevel(): LogLevelValues {
  return proxy_get_log_level(out) == WasmResultValues.Ok ? load<u32>(out) : LogLevelValues.trace;
}

/** After `onDone` returned false: the context may go now. */
export function done(): WasmResultValues {
  return proxy_done();
}

/** Its result; empty also where the call failed. */
export function call_foreign_function(function_name: string, argument: string): ArrayBuffer {
  const name = String.UTF8.encode(function_name);
  const bytes = String.UTF8.encode(argument);
  return copyToBuffer(callForeign(viewOf(name), viewOf(bytes)));
}
