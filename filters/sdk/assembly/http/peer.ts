/** Who is calling: SPIFFE IDs out of the peer certificate's URI SANs. Pure; {@link ./identity} reads them from the proxy. */
import { ABSENT, View, address, indexOf, size, slice, startsWith, utf8 } from "../bytes";

const SCHEME = utf8("spiffe://");
const NS = utf8("ns/");
const SA = utf8("sa/");

let versions: u64 = 0;

export class Peer {
  /** Another one for whatever is taken: what was made of it before is out of date then. */
  version: u64 = 0;
  /** The whole URI, e.g. `spiffe://cluster.local/ns/prod/sa/frontend`; {@link ABSENT} without mTLS or a URI SAN. */
  id: View = ABSENT;
  trustDomain: View = ABSENT;
  /** From `/ns/<namespace>/sa/<service account>`, as Istio and SPIRE write it; {@link ABSENT} for any other path. */
  namespace: View = ABSENT;
  serviceAccount: View = ABSENT;
  /**
   * More than one URI SAN: the certificate is no valid X.509-SVID (spec, section 2), and picking one would be a guess.
   * Callers must treat it as a refusal, not as "no identity".
   */
  ambiguous: bool = false;

  clear(): void {
    this.version = ++versions;
    this.id = ABSENT;
    this.trustDomain = ABSENT;
    this.namespace = ABSENT;
    this.serviceAccount = ABSENT;
    this.ambiguous = false;
  }

  /** Takes one URI SAN. */
  single(uri: View): void {
    this.clear();
    if (uri == ABSENT || size(uri) == 0) return;
    this.id = uri;
    if (!startsWith(uri, SCHEME)) return;
    const path = indexOf(uri, 47, size(SCHEME));
    if (path < 0) {
      this.trustDomain = slice(uri, size(SCHEME), size(uri));
      return;
    }
    this.trustDomain = slice(uri, size(SCHEME), path);
    const rest = slice(uri, path + 1, size(uri));
    if (!startsWith(rest, NS)) return;
    const next = indexOf(rest, 47, 3);
    if (next < 0) return;
    const tail = slice(rest, next + 1, size(rest));
    if (!startsWith(tail, SA) || indexOf(tail, 47, 3) >= 0) return;
    this.namespace = slice(rest, 3, next);
    this.serviceAccount = slice(tail, 3, size(tail));
  }

  /** Takes all URI SANs, joined by commas as `%DOWNSTREAM_PEER_URI_SAN%` prints them; `-` stands for none. */
  list(uris: View): void {
    if (uris == ABSENT || (size(uris) == 1 && load<u8>(address(uris)) == 45)) return this.clear();
    if (indexOf(uris, 44) < 0) return this.single(uris);
    this.clear();
    this.ambiguous = true;
  }
}
