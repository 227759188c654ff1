/** Header and trailer maps by string, as `stream_context` and as functions. */
import { HeaderMapTypeValues, WasmResultValues } from "../assembly/abi/enums";
import { HeaderPairs, PairsWriter, addHeader, getHeader, headerMapBytes, removeHeader, replaceHeader, setHeaderPairs } from "../assembly/headers";
import { copyToBuffer, viewOf } from "./bytes";

export class HeaderPair {
  constructor(public key: ArrayBuffer, public value: ArrayBuffer) {}

  toString(): string {
    return String.UTF8.decode(this.key) + ":" + String.UTF8.decode(this.value);
  }
}

export type Headers = Array<HeaderPair>;

export function makeHeaderPair(key: string, value: string): HeaderPair {
  return new HeaderPair(String.UTF8.encode(key), String.UTF8.encode(value));
}

export function serializeHeaders(headers: Headers): ArrayBuffer {
  const writer = new PairsWriter();
  for (let i = 0; i < headers.length; i++) writer.add(viewOf(headers[i].key), viewOf(headers[i].value));
  return writer.finish();
}

/** One map of the stream that the current callback is about. */
class HeaderStreamManipulator {
  constructor(public typ: HeaderMapTypeValues) {}

  add(key: string, value: string): void {
    add_header_map_value_string(this.typ, key, value);
  }

  replace(key: string, value: string): void {
    replace_header_map_value_string(this.typ, key, value);
  }

  /** The first value; empty where there is none. */
  get(key: string): string {
    return String.UTF8.decode(get_header_map_value(this.typ, String.UTF8.encode(key)));
  }

  remove(key: string): void {
    remove_header_map_value_string(this.typ, key);
  }

  get_headers(): Headers {
    const headers: Headers = [];
    const pairs = new HeaderPairs();
    pairs.load(this.typ);
    while (pairs.next()) headers.push(new HeaderPair(copyToBuffer(pairs.name), copyToBuffer(pairs.value)));
    return headers;
  }

  set_headers(headers: Headers): void {
    const pairs = serializeHeaders(headers);
    setHeaderPairs(this.typ, viewOf(pairs));
  }
}

class HeaderMapManipulator {
  request: HeaderStreamManipulator;
  response: HeaderStreamManipulator;
  /** Of the answer that an HTTP call's callback is about. */
  http_callback: HeaderStreamManipulator;

  constructor(request: HeaderMapTypeValues, response: HeaderMapTypeValues, http_callback: HeaderMapTypeValues) {
    this.request = new HeaderStreamManipulator(request);
    this.response = new HeaderStreamManipulator(response);
    this.http_callback = new HeaderStreamManipulator(http_callback);
  }
}

class StreamContext {
  headers: HeaderMapManipulator = new HeaderMapManipulator(
    HeaderMapTypeValues.RequestHeaders, HeaderMapTypeValues.ResponseHeaders, HeaderMapTypeValues.HttpCallResponseHeaders,
  );
  trailers: HeaderMapManipulator = new HeaderMapManipulator(
    HeaderMapTypeValues.RequestTrailers, HeaderMapTypeValues.ResponseTrailers, HeaderMapTypeValues.HttpCallResponseTrailers,
  );
}

/** The current stream's headers and trailers. */
export const stream_context = new StreamContext();

/** Empty where there is no such header. */
export function get_header_map_value(typ: HeaderMapTypeValues, key: ArrayBuffer): ArrayBuffer {
  return copyToBuffer(getHeader(typ, viewOf(key)));
}

export function add_header_map_value(typ: HeaderMapTypeValues, key: ArrayBuffer, value: ArrayBuffer): WasmResultValues {
  return addHeader(typ, viewOf(key), viewOf(value));
}

export function add_header_map_value_string(typ: HeaderMapTypeValues, key: string, value: string): WasmResultValues {
  return add_header_map_value(typ, String.UTF8.encode(key), String.UTF8.encode(value));
}

export function replace_header_map_value(typ: HeaderMapTypeValues, key: ArrayBuffer, value: ArrayBuffer): void {
  replaceHeader(typ, viewOf(key), viewOf(value));
}

export function replace_header_map_value_string(typ: HeaderMapTypeValues, key: string, value: string): void {
  replace_header_map_value(typ, String.UTF8.encode(key), String.UTF8.encode(value));
}

export function remove_header_map_value(typ: HeaderMapTypeValues, key: ArrayBuffer): void {
  removeHeader(typ, viewOf(key));
}

export function remove_header_map_value_string(typ: HeaderMapTypeValues, key: string): void {
  remove_header_map_value(typ, String.UTF8.encode(key));
}

/** In bytes, as Envoy counts it; 0 where there is no such map. */
export function get_header_map_size(typ: HeaderMapTypeValues): usize {
  return max(headerMapBytes(typ), 0);
}
