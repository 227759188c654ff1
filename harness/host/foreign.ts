import { deflateSync, inflateSync } from "node:zlib";
import { rootAttribute } from "./attributes.ts";
import { byteStringToBytes, bytesToByteString } from "./bytes.ts";
import { compileCel } from "./cel.ts";
import { signWith, verifyWith } from "./crypto.ts";
import type { HostCalls } from "./imports.ts";
import { parseProto, protoBytes, protoNumber, protoText } from "./proto.ts";
import type { RootContext, StatePrototype } from "./root-context.ts";
import { Status, type StatusCode } from "./types.ts";
import { serialize } from "./values.ts";
import type { Vm } from "./vm.ts";

/** What a foreign function gives back: a status, or bytes (which mean Ok). */
export type ForeignResult = StatusCode | Uint8Array;
export type ForeignFunction = (argument: Uint8Array, vm: Vm) => ForeignResult;

const SPANS: readonly StatePrototype["span"][] = ["filterChain", "request", "connection"];
const TYPES: readonly StatePrototype["type"][] = ["bytes", "string", "flatbuffers", "protobuf"];

/** Filter state keys for which Envoy has an object factory (`set_envoy_filter_state` knows no others). */
const STATE_FACTORIES: ReadonlySet<string> = new Set([
  "envoy.string", "envoy.hashable_string", "envoy.tcp_proxy.cluster", "envoy.tcp_proxy.disable_tunneling",
  "envoy.tcp_proxy.per_connection_idle_timeout_ms", "envoy.network.upstream_server_name", "envoy.network.upstream_subject_alt_names",
  "envoy.network.application_protocols", "envoy.upstream.dynamic_host", "envoy.upstream.dynamic_port", "envoy.ratelimit.hits_addend",
]);

/** Envoy's own foreign functions. */
const BUILT_IN: Readonly<Record<string, ForeignFunction>> = {
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
    const prototypes = (vm.current as Partial<RootContext>).prototypes;
    const name = bytesToByteString(protoBytes(fields, 1));
    if (prototypes?.has(name)) return Status.BadArgument;
    prototypes?.set(name, {
      readonly: protoNumber(fields, 2) !== 0,
      type: TYPES[protoNumber(fields, 3)] ?? "bytes",
      span: SPANS[protoNumber(fields, 5)] ?? "filterChain",
    });
    return Status.Ok;
  },
  expr_create: (argument, vm) => {
    const source = new TextDecoder().decode(argument);
    const compiled = compileCel(source);
    if (compiled === undefined) {
      vm.host.log("error", `this host has only a part of CEL, without something in: ${source}. Test it with the envoy engine`, vm.current?.plugin, vm.thread.name, "host");
      return Status.BadArgument;
    }
    const token = vm.expressions.push(compiled) - 1;
    return new Uint8Array(Uint32Array.of(token).buffer);
  },
  expr_evaluate: (argument, vm) => {
    if (argument.length !== 4) return Status.BadArgument;
    const compiled = vm.expressions[Buffer.from(argument).readUInt32LE()];
    if (compiled === undefined) return Status.NotFound;
    const context = vm.context;
    const value = compiled((name) => rootAttribute(context, name));
    const data = value && serialize(value);
    if (data === undefined) return value === undefined ? Status.InternalFailure : Status.SerializationFailure;
    return typeof data === "string" ? byteStringToBytes(data) : data;
  },
  expr_delete: (argument, vm) => {
    if (argument.length !== 4) return Status.BadArgument;
    vm.expressions[Buffer.from(argument).readUInt32LE()] = undefined;
    return Status.Ok;
  },
};

export function foreignCalls(vm: Vm): HostCalls {
  return {
    proxy_call_foreign_function(nameAt: number, nameSize: number, argumentAt: number, argumentSize: number, resultOut: number, resultSizeOut: number) {
      const name = vm.memory.text(nameAt, nameSize);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const argument = vm.memory.copy(argumentAt, argumentSize);
      if (argument === undefined) return Status.InvalidMemoryAccess;
      const call = vm.host.foreignFunctions[name] ?? (Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined);
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
