/** What a condition looks at, and how a value of it is compared. */

/**
 * Attributes of a request, in the words of the AuthorizationPolicy API; in the order in which `source` and `operation` list
 * them, see read/rule-reader.ts.
 */
export enum Field {
  /** `source.principals`, `source.principal`: the SPIFFE ID without its scheme. */
  Principal,
  /** `source.namespaces`, `source.namespace`: a segment behind `/ns/` in the peer's URI. */
  Namespace,
  /** `source.serviceAccounts`, `source.serviceAccount`: `<namespace>/<account>`. */
  ServiceAccount,
  /** `source.trustDomains`, `source.trustDomain`. */
  TrustDomain,
  /** `ipBlocks`, `source.ip`: the physical peer. */
  SourceIp,
  /** `remoteIpBlocks`, `remote.ip`: what X-Forwarded-For or the proxy protocol tell, as far as Envoy trusts them. */
  RemoteIp,
  /** `hosts`: `:authority`, without regard to case, with its port. */
  Host,
  /** `ports`, `destination.port`: the local port. */
  Port,
  Method,
  /** `paths`: `:path` without query and fragment. */
  Path,
  /** `destination.ip`: the local address. */
  DestinationIp,
  /** `connection.sni`. */
  Sni,
  /** `request.headers[…]`; which one is the condition's slot. */
  Header,
  /** `request.auth.audiences`, `…presenter`, `…claims[…]`, and `experimental.*`; which one is the condition's slot. */
  Claim,
  /** `requestPrincipals`, `request.auth.principal`: issuer and subject of the token. The slot is the issuer's. */
  RequestPrincipal,
}

/**
 * Which attributes the compiled policies look at: what nobody asks for need not be fetched. Each {@link Field} is a bit, and
 * these are further ones.
 */
export enum Needs {
  /** Any of the fields that the peer's URI tells. */
  Identity = 15,
  /** `"*"` as a principal also means a certificate without a URI SAN. */
  AnyCertificate = 1 << 16,
  Route = 1 << 17,
  /** A verified token, or other filters' metadata. */
  Claims = (1 << Field.Claim) | (1 << Field.RequestPrincipal),
}

/** `Any` is anything but the empty string. */
export enum Operation { Exact, Prefix, Suffix, Template, Glob, Any }

// @ts-ignore: decorator
@inline
export function isIp(field: Field): bool {
  return field == Field.SourceIp || field == Field.RemoteIp || field == Field.DestinationIp;
}
