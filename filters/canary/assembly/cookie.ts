/** Reads `Cookie` headers (RFC 6265, section 4.2). Pure. */
import { ABSENT, View, address, sameBytes, size, view } from "../../sdk/assembly/bytes";

/**
 * The value of the first cookie of this name, without surrounding quotes; {@link ABSENT} where there is none or it is empty.
 * Names are case-sensitive. What isn't `name=value` is passed over, as user agents and servers do.
 */
export function cookieValue(header: View, name: View): View {
  let at = address(header);
  const end = at + size(header);
  while (at < end) {
    let stop = at;
    let equals: usize = 0;
    for (; stop < end; stop++) {
      const c = load<u8>(stop);
      if (c == 59) break; // ;
      if (c == 61 && equals == 0) equals = stop; // =
    }
    if (equals != 0 && sameBytes(trim(at, equals), name)) {
      const value = unquote(trim(equals + 1, stop));
      if (size(value) > 0) return value;
    }
    at = stop + 1;
  }
  return ABSENT;
}

function trim(from: usize, to: usize): View {
  while (from < to && isSpace(load<u8>(from))) from++;
  while (from < to && isSpace(load<u8>(to - 1))) to--;
  return view(from, <u32>(to - from));
}

function unquote(value: View): View {
  const at = address(value);
  const n = size(value);
  return n >= 2 && load<u8>(at) == 34 && load<u8>(at + n - 1) == 34 ? view(at + 1, n - 2) : value;
}

// @ts-ignore: decorator
@inline
function isSpace(c: u8): bool {
  return c == 32 || c == 9;
}
