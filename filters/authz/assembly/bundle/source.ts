/** Where newer bundles come from: `"source": {"cluster", "path", "authority", "intervalSeconds", "timeoutSeconds"}`. */
import { BufferTypeValues, HeaderMapTypeValues } from "../../../sdk/assembly/abi/enums";
import { getBuffer } from "../../../sdk/assembly/buffers";
import { ABSENT, View, address, sameBytes, size, utf8 } from "../../../sdk/assembly/bytes";
import { httpCall } from "../../../sdk/assembly/callouts";
import { PairsWriter, getHeader } from "../../../sdk/assembly/headers";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Texts } from "../../../sdk/assembly/names";
import { EMPTY } from "../../../sdk/assembly/stream";
import { memberOf, readName, refuse } from "../read/members";

/** What a source may make Envoy and the filter hold; some 15,000 policies. */
const MOST_BYTES: u32 = 8 * 1024 * 1024;
const MOST_ETAG: u32 = 256;

export enum Answer { None, Unchanged, TooLarge, Body }

export class Source {
  /** Between two requests, in nanoseconds. */
  interval: u64 = 60_000_000_000;
  private timeout: u32 = 5_000;
  private cluster: View = ABSENT;
  private path: View = ABSENT;
  private authority: View = ABSENT;

  constructor(private readonly texts: Texts) {}

  configure(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("cluster, path, authority, intervalSeconds, timeoutSeconds"))) {
        case 0: this.cluster = this.name(reader); break;
        case 1: this.path = this.name(reader); break;
        case 2: this.authority = this.name(reader); break;
        case 3: this.interval = <u64>reader.integer(1, 86_400) * 1_000_000_000; break;
        case 4: this.timeout = <u32>reader.integer(1, 300) * 1_000;
      }
    }
    if (this.cluster == ABSENT || this.path == ABSENT) refuse(reader, utf8("an incomplete source"), utf8("'cluster' and 'path'"));
  }

  private name(reader: JsonReader): View {
    const name = readName(reader);
    return name == ABSENT ? ABSENT : this.texts.keep(name);
  }

  /** Asks, unless what there is has this entity tag. False: it couldn't be asked. */
  ask(etag: View): bool {
    const headers = new PairsWriter()
      .add(utf8(":method"), utf8("GET"))
      .add(utf8(":path"), this.path)
      .add(utf8(":authority"), this.authority == ABSENT ? this.cluster : this.authority);
    if (size(etag) > 0) headers.add(utf8("if-none-match"), etag);
    return httpCall(this.cluster, headers.finish(), EMPTY, null, this.timeout) != 0;
  }
}

/** What the current answer is. @param headers 0 where there was none */
export function answerOf(headers: u32, bytes: u32): Answer {
  if (headers == 0) return Answer.None;
  const status = getHeader(HeaderMapTypeValues.HttpCallResponseHeaders, utf8(":status"));
  if (sameBytes(status, utf8("304"))) return Answer.Unchanged;
  if (!sameBytes(status, utf8("200"))) return Answer.None;
  return bytes > MOST_BYTES ? Answer.TooLarge : Answer.Body;
}

export function answeredBody(): View {
  const body = getBuffer(BufferTypeValues.HttpCallResponseBody);
  return body == ABSENT ? EMPTY : body;
}

/** Of the current answer; empty where there is none that can be kept. */
export function answeredTag(): View {
  const etag = getHeader(HeaderMapTypeValues.HttpCallResponseHeaders, utf8("etag"));
  return etag == ABSENT || size(etag) > MOST_ETAG ? EMPTY : etag;
}
