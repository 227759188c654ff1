/** How long a stream took and how much it carried: from what is known already where that will do, else from the proxy. */
import { utf8 } from "../../sdk/assembly/bytes";
import { now } from "../../sdk/assembly/clock";
import { getIntegerProperty } from "../../sdk/assembly/properties";
import { hasContent } from "./values";

const REQUEST_DURATION = utf8("request\0duration");
const REQUEST_SIZE = utf8("request\0size");
const REQUEST_TOTAL_SIZE = utf8("request\0total_size");
const REQUEST_HEADERS_BYTES = utf8("request\0headers_bytes");
const RESPONSE_SIZE = utf8("response\0size");

const MILLISECOND: u64 = 1_000_000;
/** A longer request is measured by the proxy's monotonic clock: an edge node may set its wall clock at any time after booting. */
const WALL_CLOCK_TRUSTED_FOR: u64 = 10_000 * MILLISECOND;
/** A larger body is counted as transferred, not as declared: a header is cheap to send and may promise a petabyte. */
const DECLARED_TRUSTED_TO: i64 = 1 << 20;

/** Milliseconds since `startedAt` (wall clock, ns; 0: not known), rounded. Never negative. */
export function durationOf(startedAt: u64): u64 {
  if (startedAt != 0) {
    // Unsigned: a clock that stepped back gives a huge difference.
    const elapsed = now() - startedAt;
    if (elapsed < WALL_CLOCK_TRUSTED_FOR) return milliseconds(elapsed);
  }
  return milliseconds(<u64>max<i64>(getIntegerProperty(REQUEST_DURATION, 0), 0));
}

function milliseconds(nanoseconds: u64): u64 {
  return (nanoseconds + MILLISECOND / 2) / MILLISECOND;
}

/** Bytes of the request's body; `declared` is its content length, -1 without one. Call at the end of the stream. */
export function requestBytes(declared: i64): u64 {
  if (declared < 0) return natural(getIntegerProperty(REQUEST_SIZE, 0));
  if (declared <= DECLARED_TRUSTED_TO) return <u64>declared;
  // `request.size` would repeat the declaration.
  const arrived = getIntegerProperty(REQUEST_TOTAL_SIZE, 0) - getIntegerProperty(REQUEST_HEADERS_BYTES, 0);
  return min<u64>(natural(arrived), <u64>declared);
}

/** Bytes of the response's body; `declared` is its content length, -1 without one. Call at the end of the stream. */
export function responseBytes(method: u32, status: u32, declared: i64): u64 {
  if (!hasContent(method, status)) return 0;
  if (declared >= 0 && declared <= DECLARED_TRUSTED_TO) return <u64>declared;
  return natural(getIntegerProperty(RESPONSE_SIZE, 0));
}

function natural(value: i64): u64 {
  return <u64>max<i64>(value, 0);
}
