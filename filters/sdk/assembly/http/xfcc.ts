/**
 * `x-forwarded-client-cert` as Envoy writes it: elements by comma, each `key=value` pairs by semicolon, values perhaps quoted
 * with backslash escapes. Of use only where somebody who is trusted wrote it. Pure.
 * https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/headers#x-forwarded-client-cert
 */
import { ABSENT, View, address, size, utf8, view } from "../bytes";
import { HeaderPairs } from "../headers";
import { Peer } from "./peer";

const XFCC = utf8("x-forwarded-client-cert");
const URI: u32 = 0x697275; // "uri"

/**
 * The peer that the last element tells. Anything that isn't understood entirely counts as ambiguous, which is a refusal: an
 * element without `URI=` or with several, a value that is cut off, a quote within a value.
 *
 * @param single there must be no other element: the connection manager replaces the header (`SANITIZE_SET`)
 */
export function readForwardedCertificate(pairs: HeaderPairs, single: bool, peer: Peer): void {
  let header: View = ABSENT;
  let lines: u32 = 0;
  for (let value = pairs.first(XFCC); value != ABSENT; value = pairs.nextOf(XFCC)) {
    header = value;
    lines++;
  }
  peer.clear();
  if (lines == 0) return;
  peer.ambiguous = true;
  if (single && lines > 1) return;
  let uri: View = ABSENT;
  const end = address(header) + size(header);
  let at = address(header);
  let separator: u8 = 44;
  while (separator != 0) {
    if (separator == 44) {
      if (single && at != address(header)) return;
      uri = ABSENT;
    }
    while (at < end && load<u8>(at) == 32) at++;
    const key = at;
    while (at < end && load<u8>(at) != 61) at++;
    if (at == end) return;
    const isUri = at - key == 3 && ((load<u16>(key) as u32) | ((load<u8>(key, 2) as u32) << 16) | 0x202020) == URI;
    const quoted = ++at < end && load<u8>(at) == 34;
    const start = quoted ? ++at : at;
    let escaped = false;
    while (at < end) {
      const c = load<u8>(at);
      if (quoted ? c == 34 : c == 44 || c == 59) break;
      if (quoted && c == 92) {
        escaped = true;
        at++;
      } else if (!quoted && c == 34) return;
      at++;
    }
    if (quoted && at >= end) return;
    const value = view(start, <u32>(at - start));
    if (quoted) at++;
    separator = at < end ? load<u8>(at++) : 0;
    if (separator != 0 && separator != 44 && separator != 59) return;
    if (!isUri) continue;
    if (uri != ABSENT || escaped) return;
    uri = value;
  }
  if (uri == ABSENT) return;
  peer.ambiguous = false;
  peer.single(uri);
}
