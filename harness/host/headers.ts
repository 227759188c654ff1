import { HeaderMap, type HeaderMapKind } from "./header-map.ts";
import type { HostCalls } from "./imports.ts";
import { pairsSize, writePairs } from "./pairs.ts";
import { MapType, Status } from "./types.ts";
import type { Vm } from "./vm.ts";

const MAX_MAP = MapType.HttpCallResponseTrailers;

/** Header, trailer and metadata maps. Source: proxy-wasm spec v0.2.1 "Headers"; statuses as in Envoy's wasm Context. */
export function headerCalls(vm: Vm): HostCalls {
  /** Key and value of the calls that take both; undefined: out of bounds. */
  const text = (at: number, size: number) => vm.memory.text(at, size);

  /** A call that puts one pair into a map. */
  const writing = (put: (map: HeaderMap, key: string, value: string) => void) =>
    (type: number, keyAt: number, keySize: number, valueAt: number, valueSize: number) => {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const key = text(keyAt, keySize);
      const value = text(valueAt, valueSize);
      if (key === undefined || value === undefined) return Status.InvalidMemoryAccess;
      const map = vm.context.writableMap(type);
      if (map === undefined) return Status.BadArgument;
      vm.context.editing(type, map);
      put(map, key, value);
      return Status.Ok;
    };

  return {
    proxy_get_header_map_value(type: number, keyAt: number, keySize: number, valueOut: number, sizeOut: number) {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const context = vm.context;
      const key = text(keyAt, keySize);
      if (key === undefined) return Status.InvalidMemoryAccess;
      const map = context.readableMap(type);
      // Only the first value of a repeated name: Envoy's known weakness, kept.
      const value = map?.get(key);
      if (value === undefined) {
        if (map === undefined && !context.logging) return Status.BadArgument;
        if (vm.module.abi !== "0.1.0") return Status.NotFound;
        return vm.giveText("", valueOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
      }
      return vm.giveText(value, valueOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_header_map_pairs(type: number, pointerOut: number, sizeOut: number) {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const map = vm.context.readableMap(type);
      if (map === undefined || map.size === 0) return vm.giveText("", pointerOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
      const entries = map.entries;
      const size = pairsSize(entries);
      const at = vm.alloc(size);
      if (at === 0) return Status.InvalidMemoryAccess;
      writePairs(entries, vm.memory.raw, at);
      return vm.memory.setU32(pointerOut, at) && vm.memory.setU32(sizeOut, size) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_header_map_size(type: number, sizeOut: number) {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const map = vm.context.writableMap(type);
      if (map === undefined) return Status.BadArgument;
      return vm.memory.setU32(sizeOut, map.byteSize) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_add_header_map_value: writing((map, key, value) => map.add(key, value)),

    proxy_replace_header_map_value: writing((map, key, value) => map.set(key, value)),

    proxy_remove_header_map_value(type: number, keyAt: number, keySize: number) {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const key = text(keyAt, keySize);
      if (key === undefined) return Status.InvalidMemoryAccess;
      const map = vm.context.writableMap(type);
      if (map === undefined) return Status.BadArgument;
      vm.context.editing(type, map);
      map.remove(key);
      return Status.Ok;
    },

    proxy_set_header_map_pairs(type: number, at: number, size: number) {
      if (type >>> 0 > MAX_MAP) return Status.BadArgument;
      const data = vm.memory.slice(at, size);
      if (data === undefined) return Status.InvalidMemoryAccess;
      const map = vm.context.writableMap(type);
      if (map === undefined) return Status.BadArgument;
      const flat = vm.pairs("proxy_set_header_map_pairs", data);
      vm.context.editing(type, map);
      map.clear();
      for (let i = 0; i < flat.length; i += 2) map.add(flat[i]!, flat[i + 1]!);
      return Status.Ok;
    },
  };
}

/** Flat entries as a map; for callouts and local replies. */
export function mapFromFlat(flat: readonly string[], kind: HeaderMapKind = "other"): HeaderMap {
  const map = HeaderMap.empty(kind);
  for (let i = 0; i < flat.length; i += 2) map.add(flat[i]!, flat[i + 1]!);
  return map;
}

