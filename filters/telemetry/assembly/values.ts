/** Reads what HTTP says in text: status, method, content length. Pure. */
import { ABSENT, View, address, sameBytes, size, utf8, view } from "../../sdk/assembly/bytes";

/** OpenTelemetry's `http.request.method`: the known methods, and one name for everything a client may think of. */
export const METHODS: View[] = [
  utf8("GET"), utf8("HEAD"), utf8("POST"), utf8("PUT"), utf8("DELETE"), utf8("CONNECT"), utf8("OPTIONS"), utf8("TRACE"), utf8("PATCH"),
  utf8("_OTHER"),
];
export const METHOD_HEAD: u32 = 1;
const METHOD_OTHER: u32 = 9;

/** Index into {@link METHODS}. Methods are case-sensitive (RFC 9110, section 9.1). */
export function methodId(method: View): u32 {
  for (let id: u32 = 0; id < METHOD_OTHER; id++) {
    if (sameBytes(method, unchecked(METHODS[id]))) return id;
  }
  return METHOD_OTHER;
}

/** 100 to 599, or 0 for anything else, absence included. */
export function statusCode(text: View): u32 {
  if (text == ABSENT || size(text) != 3) return 0;
  const at = address(text);
  const a = <u32>load<u8>(at) - 48;
  const b = <u32>load<u8>(at, 1) - 48;
  const c = <u32>load<u8>(at, 2) - 48;
  return a - 1 < 5 && b < 10 && c < 10 ? a * 100 + b * 10 + c : 0;
}

/** A `Content-Length`, or -1 where it isn't one: digits only (RFC 9110, section 8.6), below 10^15. */
export function contentLength(text: View): i64 {
  if (text == ABSENT || size(text) == 0 || size(text) > 15) return -1;
  let value: i64 = 0;
  const end = address(text) + size(text);
  for (let at = address(text); at < end; at++) {
    const digit = <u32>load<u8>(at) - 48;
    if (digit > 9) return -1;
    value = value * 10 + <i64>digit;
  }
  return value;
}

/** Can a response to this request with this status have content at all (RFC 9110, section 6.4.1)? */
export function hasContent(method: u32, status: u32): bool {
  return method != METHOD_HEAD && status >= 200 && status != 204 && status != 304;
}

/** `404`, or `0`; `buffer` has room for three bytes. */
export function statusText(status: u32, buffer: usize): View {
  store<u8>(buffer, <u8>(48 + status / 100));
  if (status == 0) return view(buffer, 1);
  store<u8>(buffer, <u8>(48 + (status / 10) % 10), 1);
  store<u8>(buffer, <u8>(48 + status % 10), 2);
  return view(buffer, 3);
}

/** `4xx`, or `0`. */
export function classText(status: u32, buffer: usize): View {
  store<u8>(buffer, <u8>(48 + status / 100));
  store<u16>(buffer, 0x7878, 1);
  return view(buffer, status == 0 ? 1 : 3);
}
