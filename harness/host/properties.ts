import { fastAttribute, rootAttribute } from "./attributes.ts";
import type { HostCalls } from "./imports.ts";
import { member, serialize, type Value } from "./values.ts";
import { Status } from "./types.ts";
import type { Context } from "./context.ts";
import type { Vm } from "./vm.ts";

const splitPaths = new Map<string, readonly string[]>();

/** Segments of a NUL-joined path; one NUL at the end counts for nothing. */
function segments(path: string): readonly string[] {
  let parts = splitPaths.get(path);
  if (parts === undefined) {
    const list = path.split("\0");
    if (list.at(-1) === "") list.pop();
    parts = list;
    if (splitPaths.size < 4096) splitPaths.set(path, parts);
  }
  return parts;
}

function lookUp(context: Context, path: string): Value | undefined {
  const info = context.info;
  const pinned = info?.overrides?.get(path);
  if (pinned !== undefined) return pinned;
  const parts = segments(path);
  if (parts.length === 0) return { kind: "null" };
  if (parts.length === 2 && info !== undefined) {
    const value = fastAttribute(context, info, parts[0]!, parts[1]!);
    if (value !== null) return value;
  }
  let value = rootAttribute(context, parts[0]!);
  for (let i = 1; i < parts.length && value !== undefined; i++) value = member(value, parts[i]!);
  return value;
}

/** Properties (Envoy attributes, filter state). Source: Envoy's wasm `Context::getProperty` and `setProperty`. */
export function propertyCalls(vm: Vm): HostCalls {
  return {
    proxy_get_property(pathAt: number, pathSize: number, valueOut: number, sizeOut: number) {
      const path = vm.memory.text(pathAt, pathSize);
      if (path === undefined) return Status.InvalidMemoryAccess;
      const value = lookUp(vm.context, path);
      if (value === undefined) return Status.NotFound;
      const data = serialize(value);
      if (data === undefined) return Status.SerializationFailure;
      const given = typeof data === "string" ? vm.giveText(data, valueOut, sizeOut) : vm.giveBytes(data, valueOut, sizeOut);
      return given ? Status.Ok : Status.InvalidMemoryAccess;
    },

    // Becomes filter state `wasm.<path>`, with the path exactly as given.
    proxy_set_property(pathAt: number, pathSize: number, valueAt: number, valueSize: number) {
      const path = vm.memory.text(pathAt, pathSize);
      const value = vm.memory.copy(valueAt, valueSize);
      if (path === undefined || value === undefined) return Status.InvalidMemoryAccess;
      const context = vm.context;
      return context.info === undefined ? Status.NotFound : setState(context, path, value);
    },
  };
}

function setState(context: Context, path: string, value: Uint8Array): number {
  const state = context.info!.filterState;
  const key = `wasm.${path}`;
  const known = state.get(key);
  if (known?.from === "wasm") {
    if (known.readonly) return Status.BadArgument;
    known.value = value;
    return Status.Ok;
  }
  const prototype = context.root.prototypes?.get(path);
  state.set(key, { from: "wasm", value, type: prototype?.type ?? "bytes", readonly: prototype?.readonly ?? false }, prototype?.span === "connection");
  return Status.Ok;
}
