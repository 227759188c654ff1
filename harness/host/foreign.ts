import { deflateSync, inflateSync } from "node:zlib";
import { bytesToByteString } from "./bytes.ts";
import { signWith, verifyWith } from "./crypto.ts";
import type { HostCalls } from "./imports.ts";
import { parseProto, protoBytes, protoNumber, protoText } from "./proto.ts";
import type { StatePrototype } from "./context.ts";
import { Status, type ForeignResult } from "./types.ts";
import type { Vm } from "./vm.ts";

type BuiltIn = (argument: Uint8Array, vm: Vm) => ForeignResult;

const SPANS: readonly StatePrototype["span"][] = ["filterChain", "request", "connection"];
const TYPES: readonly StatePrototype["type"][] = ["bytes", "string", "flatbuffers", "protobuf"];

/** Filter state keys for which Envoy has an object factory (`set_envoy_filter_state` knows no others). */
const STATE_FACTORIES: ReadonlySet<string> = new Set([
  "envoy.string", "envoy.hashable_string", "envoy.tcp_proxy.cluster", "envoy.tcp_proxy.disable_tunneling",
  "envoy.tcp_proxy.per_connection_idle_timeout_ms", "envoy.network.upstream_server_name", "envoy.network.upstream_subject_alt_names",
  "envoy.network.application_protocols", "envoy.upstream.dynamic_host", "envoy.upstream.dynamic_port", "envoy.ratelimit.hits_addend",
]);

/** Envoy's own foreign functions. */
const BUILT_IN: Readonly<Record<string, BuiltIn>> = {
  compress: (argument) => deflateSync(argument),
  uncompress: (argument) => {
    try {
      return inflateSync(argument);
    } catch {
      return Status.SerializationFailure;
    }
  },
  clear_route_cache: (_, vm) => {
    vm.context.clearRouteCache();
    return Status.Ok;
  },
  verify_signature: verifyWith,
  sign: signWith,
  set_envoy_filter_state: (argument, vm) => {
    const fields = parseProto(argument);
    if (fields === undefined) return Status.BadArgument;
    const path = protoText(fields, 1);
    if (!STATE_FACTORIES.has(path)) return Status.NotFound;
    const info = vm.context.info;
    if (info === undefined) return Status.NotFound;
    info.filterState.set(path, { from: "envoy", value: protoBytes(fields, 2).slice() }, SPANS[protoNumber(fields, 3)] === "connection");
    return Status.Ok;
  },
  declare_property: (argument, vm) => {
    const fields = parseProto(argument);
    if (fields === undefined) return Status.BadArgument;
    // Not the effective context: a stream's own declarations are kept, but nobody looks there.
    const prototypes = (vm.current!.prototypes ??= new Map<string, StatePrototype>());
    const name = bytesToByteString(protoBytes(fields, 1));
    if (prototypes.has(name)) return Status.BadArgument;
    prototypes.set(name, {
      readonly: protoNumber(fields, 2) !== 0,
      type: TYPES[protoNumber(fields, 3)] ?? "bytes",
      span: SPANS[protoNumber(fields, 5)] ?? "filterChain",
    });
    return Status.Ok;
  },
  expr_create: (argument, vm) => withCel(vm, (cel) => cel.expressionsOf(vm).create(vm, argument)),
  expr_evaluate: (argument, vm) => withCel(vm, (cel) => cel.expressionsOf(vm).evaluate(vm, argument)),
  expr_delete: (argument, vm) => withCel(vm, (cel) => cel.expressionsOf(vm).delete(argument)),
};

/** CEL takes longer to load than everything else of the host, so only modules that name it wait for it. */
let loadedCel: typeof import("./cel.ts") | undefined;

/** Loads CEL when a module mentions its functions; AssemblyScript keeps texts as UTF-16. */
export async function loadCelFor(code: Uint8Array): Promise<void> {
  if (loadedCel !== undefined) return;
  const bytes = Buffer.from(code.buffer, code.byteOffset, code.length);
  if (bytes.includes("expr_create") || bytes.includes(Buffer.from("expr_create", "utf16le"))) loadedCel = await import("./cel.ts");
}

/** For those who load modules with loadFilterSync, and so import CEL themselves. */
export function provideCel(cel: typeof import("./cel.ts")): void {
  loadedCel = cel;
}

function withCel(vm: Vm, use: (cel: typeof import("./cel.ts")) => ForeignResult): ForeignResult {
  if (loadedCel !== undefined) return use(loadedCel);
  vm.host.log("error", "CEL (expr_create, expr_evaluate, expr_delete) is there for modules that name expr_create and are loaded with loadFilter, not loadFilterSync", vm.current?.plugin, vm.thread.name, "host");
  return Status.Unimplemented;
}

export function foreignCalls(vm: Vm): HostCalls {
  return {
    proxy_call_foreign_function(nameAt: number, nameSize: number, argumentAt: number, argumentSize: number, resultOut: number, resultSizeOut: number) {
      const name = vm.memory.text(nameAt, nameSize);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const argument = vm.memory.copy(argumentAt, argumentSize);
      if (argument === undefined) return Status.InvalidMemoryAccess;
      const own = vm.host.foreignFunctions;
      const call: BuiltIn | undefined = Object.hasOwn(own, name) ? own[name] : Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
      if (call === undefined) return Status.NotFound;
      const result = call(argument, vm);
      const data = typeof result === "number" ? undefined : result;
      let at = 0;
      if (data !== undefined && resultOut !== 0) {
        at = vm.alloc(data.length);
        if (at !== 0) vm.memory.write(at, data);
      }
      if (resultOut !== 0 && !vm.memory.setU32(resultOut, at)) return Status.InvalidMemoryAccess;
      if (resultSizeOut !== 0 && !vm.memory.setU32(resultSizeOut, data?.length ?? 0)) return Status.InvalidMemoryAccess;
      return typeof result === "number" ? result : Status.Ok;
    },
  };
}
