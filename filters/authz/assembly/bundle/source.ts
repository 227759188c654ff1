/** Where newer bundles come from: `"source": {"cluster", "path", "authority", "intervalSeconds", "timeoutSeconds"}`. */
import { BufferTypeValues, HeaderMapTypeValues } from "../../../sdk/assembly/abi/enums";
import { proxy_http_call } from "../../../sdk/assembly/abi/imports";
import { getBuffer } from "../../../sdk/assembly/buffers";
import { ABSENT, View, address, sameBytes, size, utf8 } from "../../../sdk/assembly/bytes";
import { getHeader } from "../../../sdk/assembly/headers";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { Arena } from "../memory/arena";
import { memberOf, refuse } from "../read/members";
import { keepName, readCount } from "./signing";

/** What a source may make Envoy and the filter hold; some 15,000 policies. */
const MOST_BYTES: u32 = 8 * 1024 * 1024;
const MOST_ETAG: u32 = 256;

export enum Answer { None, Unchanged, TooLarge, Body }

const token = memory.data(4, 4);

export class Source {
  /** Between two requests, in nanoseconds. */
  interval: u64 = 60_000_000_000;
  /** {@link ABSENT}: there is no source. */
  cluster: View = ABSENT;
  private timeout: u32 = 5;
  private path: View = ABSENT;
  private authority: View = ABSENT;

  configure(reader: JsonReader, arena: Arena): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("cluster, path, authority, intervalSeconds, timeoutSeconds"))) {
        case 0: this.cluster = keepName(reader, arena); break;
        case 1: this.path = keepName(reader, arena); break;
        case 2: this.authority = keepName(reader, arena); break;
        case 3: this.interval = <u64>readCount(reader, 1, 86_400) * 1_000_000_000; break;
        case 4: this.timeout = <u32>readCount(reader, 1, 300);
      }
    }
    if (this.cluster == ABSENT || this.path == ABSENT) refuse(reader, utf8("too little"), utf8("cluster and path"));
  }

  /** Asks, unless what there is has this entity tag. False: it couldn't be asked. */
  ask(etag: View): bool {
    const authority = this.authority == ABSENT ? this.cluster : this.authority;
    const count: u32 = size(etag) == 0 ? 3 : 4;
    const start = allocateForCallback(128 + size(this.path) + size(authority) + size(etag));
    store<u32>(start, count);
    entry = start + 4;
    data = entry + (count << 3);
    add(utf8(":method"), utf8("GET"));
    add(utf8(":path"), this.path);
    add(utf8(":authority"), authority);
    if (count == 4) add(utf8("if-none-match"), etag);
    return proxy_http_call(address(this.cluster), size(this.cluster), start, <u32>(data - start), 0, 0, 0, 0, this.timeout * 1_000, token) == 0;
  }
}

// Where the next header of a request goes: its sizes, and its bytes.
let entry: usize = 0;
let data: usize = 0;

function add(name: View, value: View): void {
  store<u32>(entry, size(name));
  store<u32>(entry, size(value), 4);
  entry += 8;
  append(name);
  append(value);
}

function append(text: View): void {
  memory.copy(data, address(text), size(text));
  data += size(text) + 1;
  store<u8>(data - 1, 0);
}

/** What the current answer is. @param headers 0 where there was none */
export function answerOf(headers: u32, bytes: u32): Answer {
  if (headers == 0) return Answer.None;
  const status = header(utf8(":status"));
  if (sameBytes(status, utf8("304"))) return Answer.Unchanged;
  if (!sameBytes(status, utf8("200"))) return Answer.None;
  return bytes > MOST_BYTES ? Answer.TooLarge : Answer.Body;
}

export function answeredBody(): View {
  const body = getBuffer(BufferTypeValues.HttpCallResponseBody, 0, MOST_BYTES);
  return body == ABSENT ? 0 : body;
}

/** Of the current answer; empty where there is none that can be kept. */
export function answeredTag(): View {
  const etag = header(utf8("etag"));
  return etag == ABSENT || size(etag) > MOST_ETAG ? 0 : etag;
}

function header(name: View): View {
  return getHeader(HeaderMapTypeValues.HttpCallResponseHeaders, name);
}
