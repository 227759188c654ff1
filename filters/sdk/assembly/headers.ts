/**
 * Header and trailer maps. One host call reads a whole map ({@link HeaderPairs}); asking for single headers costs about
 * the same for each one, and shows only the first value of a repeated header, which is a security matter.
 */
import {
  proxy_add_header_map_value, proxy_get_header_map_pairs, proxy_get_header_map_size, proxy_get_header_map_value,
  proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_set_header_map_pairs,
} from "./abi/imports";
import { HeaderMapTypeValues, WasmResultValues } from "./abi/enums";
import { ABSENT, View, address, equal, size, view } from "./bytes";

const out = memory.data(8, 4);

/**
 * All pairs of one map as views into the host's serialisation: `u32 count, count × (u32 keySize, u32 valueSize)`, then each
 * key and value followed by NUL (proxy-wasm-cpp-host, pairs_util.cc). Reuse one object; its views die with the callback.
 */
export class HeaderPairs {
  count: u32 = 0;
  private sizes: usize = 0;
  private data: usize = 0;
  // The cursor of next():
  private index: u32 = 0;
  private at: usize = 0;
  nameAt: usize = 0;
  nameSize: u32 = 0;
  valueAt: usize = 0;
  valueSize: u32 = 0;

  /** Reads the map from the host. Empty where there is no such map at this point of the stream; false where the host says so. */
  load(map: HeaderMapTypeValues): bool {
    if (proxy_get_header_map_pairs(map, out, out + 4) != WasmResultValues.Ok) {
      this.over(0, 0);
      return false;
    }
    this.over(load<usize>(out), load<u32>(out + 4));
    return true;
  }

  /** Looks at pairs already in memory. Anything malformed counts as no pairs at all. */
  over(buffer: usize, bytes: u32): void {
    this.count = 0;
    if (buffer == 0 || bytes < 4) return this.rewind();
    const count = load<u32>(buffer);
    if (count > (bytes - 4) / 10) return this.rewind(); // 8 bytes of sizes and two NULs for each pair
    this.sizes = buffer + 4;
    this.data = this.sizes + ((<usize>count) << 3);
    let need = <u64>(4 + (count << 3));
    for (let i: u32 = 0; i < count; i++) {
      const entry = this.sizes + ((<usize>i) << 3);
      need += <u64>load<u32>(entry) + <u64>load<u32>(entry, 4) + 2;
    }
    if (need <= <u64>bytes) this.count = count;
    this.rewind();
  }

  rewind(): void {
    this.index = 0;
    this.at = this.data;
  }

  /** Moves to the next pair; false at the end. */
  // @ts-ignore: decorator
  @inline
  next(): bool {
    const i = this.index;
    if (i >= this.count) return false;
    const entry = this.sizes + ((<usize>i) << 3);
    const nameSize = load<u32>(entry);
    const valueSize = load<u32>(entry, 4);
    const nameAt = this.at;
    this.nameAt = nameAt;
    this.nameSize = nameSize;
    this.valueAt = nameAt + nameSize + 1;
    this.valueSize = valueSize;
    this.at = nameAt + nameSize + valueSize + 2;
    this.index = i + 1;
    return true;
  }

  // @ts-ignore: decorator
  @inline
  get name(): View {
    return view(this.nameAt, this.nameSize);
  }

  // @ts-ignore: decorator
  @inline
  get value(): View {
    return view(this.valueAt, this.valueSize);
  }

  /** Is the current pair's name this one? Names arrive in lower case. */
  // @ts-ignore: decorator
  @inline
  nameIs(name: View): bool {
    return this.nameSize == size(name) && equal(this.nameAt, address(name), size(name));
  }

  /** The first value of a header, or {@link ABSENT}. Moves the cursor: call {@link nextOf} for further values. */
  first(name: View): View {
    this.rewind();
    return this.nextOf(name);
  }

  /** The next value of a repeated header, or {@link ABSENT}. */
  nextOf(name: View): View {
    while (this.next()) {
      if (this.nameIs(name)) return this.value;
    }
    return ABSENT;
  }
}

/** The first value of one header; where several are needed, {@link HeaderPairs} costs less. */
export function getHeader(map: HeaderMapTypeValues, name: View): View {
  if (proxy_get_header_map_value(map, address(name), size(name), out, out + 4) != WasmResultValues.Ok) return ABSENT;
  return view(load<usize>(out), load<u32>(out + 4));
}

export function addHeader(map: HeaderMapTypeValues, name: View, value: View): WasmResultValues {
  return proxy_add_header_map_value(map, address(name), size(name), address(value), size(value));
}

export function replaceHeader(map: HeaderMapTypeValues, name: View, value: View): WasmResultValues {
  return proxy_replace_header_map_value(map, address(name), size(name), address(value), size(value));
}

export function removeHeader(map: HeaderMapTypeValues, name: View): WasmResultValues {
  return proxy_remove_header_map_value(map, address(name), size(name));
}

/**
 * Replaces the whole map by serialised pairs (see {@link PairsWriter}). Of a request, keep the pseudo headers and
 * `x-forwarded-proto`: without them Envoy finds no route and answers 404.
 */
export function setHeaderPairs(map: HeaderMapTypeValues, pairs: View): WasmResultValues {
  return proxy_set_header_map_pairs(map, address(pairs), size(pairs));
}

/** Size of the map in bytes: that is what Envoy answers, not the number of headers. -1 where there is no such map. */
export function headerMapBytes(map: HeaderMapTypeValues): i32 {
  return proxy_get_header_map_size(map, out) == WasmResultValues.Ok ? load<i32>(out) : -1;
}

/** Serialises pairs for the calls that take some: local replies, callouts, {@link setHeaderPairs}. */
export class PairsWriter {
  private names: View[] = [];
  private values: View[] = [];

  add(name: View, value: View): this {
    this.names.push(name);
    this.values.push(value);
    return this;
  }

  /** The serialisation, in a buffer that lives as long as the returned array buffer is referenced. */
  finish(): ArrayBuffer {
    const count = this.names.length;
    let bytes = 4 + count * 8;
    for (let i = 0; i < count; i++) bytes += <i32>size(this.names[i]) + <i32>size(this.values[i]) + 2;
    const buffer = new ArrayBuffer(bytes);
    const start = changetype<usize>(buffer);
    store<u32>(start, count);
    let data = start + 4 + (<usize>count << 3);
    for (let i = 0; i < count; i++) {
      const entry = start + 4 + (<usize>i << 3);
      store<u32>(entry, size(this.names[i]));
      store<u32>(entry, size(this.values[i]), 4);
      data = append(append(data, this.names[i]), this.values[i]);
    }
    return buffer;
  }
}

function append(to: usize, what: View): usize {
  memory.copy(to, address(what), size(what));
  store<u8>(to + size(what), 0);
  return to + size(what) + 1;
}
