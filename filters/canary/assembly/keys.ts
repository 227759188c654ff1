/** Stickiness keys that come with the request. Pure. */
import { ABSENT, View, size, utf8 } from "../../sdk/assembly/bytes";
import { RequestView } from "../../sdk/assembly/http/request";
import { cookieValue } from "./cookie";

const COOKIE = utf8("cookie");

/** The value of a header that the request has exactly once: of several, which one the backend believes is anyone's guess. */
export function singleHeader(request: RequestView, name: View): View {
  request.load();
  const value = request.headers.first(name);
  return value != ABSENT && size(value) > 0 && request.headers.nextOf(name) == ABSENT ? value : ABSENT;
}

/** The first cookie of this name, in any `Cookie` header: HTTP/2 may spread cookies over several (RFC 9113, section 8.2.3). */
export function cookieOf(request: RequestView, name: View): View {
  request.load();
  let header = request.headers.first(COOKIE);
  while (header != ABSENT) {
    const value = cookieValue(header, name);
    if (value != ABSENT) return value;
    header = request.headers.nextOf(COOKIE);
  }
  return ABSENT;
}
