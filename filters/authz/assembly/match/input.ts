/** One request as the policies see it. The glue fills what the policies need; a test fills it without a proxy. */
import { ABSENT, View, address, size, slice } from "../../../sdk/assembly/bytes";
import { Peer } from "../../../sdk/assembly/http/peer";
import { Field } from "../fields";
import { Ip } from "./ip";
import { namespaceAt, nextNamespace, withoutScheme } from "./identity";

/** A text, as a {@link View}, for each {@link Field}; absent unless it is told. */
const texts = memory.data(104, 8);

/** There is one for all configurations of a module: a request is decided on before the next is looked at. */
export class Input {
  /** Name of the route, which leads to a workload. */
  route: View = ABSENT;
  /** Local port, -1 where there is none. */
  port: i32 = -1;
  readonly sourceIp: Ip = new Ip();
  readonly remoteIp: Ip = new Ip();
  readonly destinationIp: Ip = new Ip();

  /** {@link Peer.version} of what was taken last. */
  private peer: u64 = 0;
  /** The peer's URI SAN. */
  uri: View = ABSENT;
  /** The peer showed a certificate with any name at all: what `principals: ["*"]` asks. */
  identified: bool = false;
  /** There are several segments behind a `/ns/`: then look for them in `uri`; else the text of {@link Field.Namespace} is the one. */
  manyNamespaces: bool = false;

  /** While another reading of the path is looked at: what `notPaths` are compared with instead; else {@link ABSENT}. */
  excludedPath: View = ABSENT;

  /** {@link Field.Path} is without query and fragment, {@link Field.Host} in lower case and with its port. */
  // @ts-ignore: decorator
  @inline
  text(field: Field): View {
    return load<View>(texts + (<usize>field << 3));
  }

  // @ts-ignore: decorator
  @inline
  setText(field: Field, text: View): void {
    store<View>(texts + (<usize>field << 3), text);
  }

  ip(field: Field): Ip {
    return field == Field.SourceIp ? this.sourceIp : field == Field.RemoteIp ? this.remoteIp : this.destinationIp;
  }

  setPeer(peer: Peer): void {
    if (this.peer != peer.version) {
      this.setUri(peer.id);
      this.peer = peer.version;
    }
    this.identified = this.uri != ABSENT && size(this.uri) > 0;
  }

  /** Nobody asks who this request is from: what is known of the last one isn't said of it. */
  setNobody(): void {
    this.uri = ABSENT;
    this.identified = false;
    this.peer = 0;
  }

  private setUri(uri: View): void {
    const principal = withoutScheme(uri);
    const at = uri == ABSENT ? -1 : nextNamespace(uri, 0);
    this.uri = uri;
    this.manyNamespaces = at >= 0 && nextNamespace(uri, at + 1) >= 0;
    this.setText(Field.Principal, principal);
    this.setText(Field.TrustDomain, principal == ABSENT ? ABSENT : firstSegment(principal));
    this.setText(Field.Namespace, at < 0 ? ABSENT : namespaceAt(uri, at));
  }
}

function firstSegment(text: View): View {
  for (let i: u32 = 0; i < size(text); i++) {
    if (load<u8>(address(text) + i) == 47) return slice(text, 0, i);
  }
  return ABSENT;
}
