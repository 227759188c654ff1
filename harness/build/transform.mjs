/**
 * The asc transform that every filter is compiled with. Plain JavaScript, so that `npx asc --transform` loads it too.
 *
 * 1. A callback costs a call into the VM even when it does nothing, so the SDK's callback exports that no class
 *    overrides are taken out of the module.
 * 2. The SDK's own `abort` takes the place of the `env.abort` import, which no Proxy-Wasm host has.
 * 3. `utf8("literal")` becomes static bytes (see static-bytes.mjs).
 * 4. `total` of the runtime's collector becomes importable, so that the SDK can collect once a threshold is passed.
 * 5. Memory grows by a quarter where asc's allocator would double it.
 *
 * @module
 */

/* global i64_new -- how asc makes a 64-bit integer in JavaScript */
import { ClassPrototype, CommonFlags, Node, Token, VariableStatement } from "assemblyscript";
import { staticBytes } from "./static-bytes.mjs";

/**
 * SDK callback export → methods that receive it. Anything absent from the table is always kept: `proxy_on_configure` too,
 * because the SDK refuses an unknown root id through it.
 */
export const CALLBACK_METHODS = {
  proxy_on_vm_start: ["onVmStart", "onStart"],
  proxy_validate_configuration: ["validateConfiguration", "onValidateConfiguration"],
  proxy_on_tick: ["onTick"],
  proxy_on_queue_ready: ["onQueueReady"],
  proxy_on_foreign_function: ["onForeignFunction"],
  proxy_on_new_connection: ["onNewConnection"],
  proxy_on_downstream_data: ["onDownstreamData"],
  proxy_on_upstream_data: ["onUpstreamData"],
  proxy_on_downstream_connection_close: ["onDownstreamConnectionClose"],
  proxy_on_upstream_connection_close: ["onUpstreamConnectionClose"],
  proxy_on_request_headers: ["onRequestHeaders"],
  proxy_on_request_metadata: ["onRequestMetadata"],
  proxy_on_request_body: ["onRequestBody"],
  proxy_on_request_trailers: ["onRequestTrailers"],
  proxy_on_response_headers: ["onResponseHeaders"],
  proxy_on_response_metadata: ["onResponseMetadata"],
  proxy_on_response_body: ["onResponseBody"],
  proxy_on_response_trailers: ["onResponseTrailers"],
  proxy_on_done: ["onDone"],
  proxy_on_log: ["onLog"],
  envoy_on_resolve_dns: ["onResolveDns"],
  envoy_on_stats_update: ["onStatsUpdate"],
};

/**
 * Answers to a call that the module itself makes. They may reach a handler object or a function as well as an
 * overridden method, so what decides is whether the compiled module imports one of the calls.
 */
export const CALLBACK_CAUSES = {
  proxy_on_http_call_response: ["proxy_http_call"],
  proxy_on_grpc_receive_initial_metadata: ["proxy_grpc_call", "proxy_grpc_stream"],
  proxy_on_grpc_receive: ["proxy_grpc_call", "proxy_grpc_stream"],
  proxy_on_grpc_receive_trailing_metadata: ["proxy_grpc_call", "proxy_grpc_stream"],
  proxy_on_grpc_close: ["proxy_grpc_call", "proxy_grpc_stream"],
};

/** The SDK in this program, found by what its directory holds: `proxy` (the exports) and `context` (the base classes). */
function findSdk(program) {
  for (const [path, file] of program.filesByName) {
    if (!path.endsWith("/proxy") || !file.exports?.has("proxy_on_context_create")) continue;
    const context = `${path.slice(0, -"/proxy".length)}/context`;
    const members = program.filesByName.get(context)?.members;
    if (members?.has("RootContext") && members.has("Context")) return { exports: file.exports, context };
  }
  return null;
}

/**
 * Names of the methods that classes define on top of the SDK's base classes, however far up those are. A class between
 * the two counts as well, also one of the SDK's compatibility entry: it is only in the program when it is used.
 */
function overriddenMethods(program, context) {
  const overridden = new Set();
  const isBase = (prototype) => prototype.internalName.startsWith(`${context}/`);
  for (const element of program.elementsByName.values()) {
    if (!(element instanceof ClassPrototype) || isBase(element)) continue;
    let base = element.basePrototype;
    while (base && !isBase(base)) base = base.basePrototype;
    if (base) for (const name of element.instanceMembers?.keys() ?? []) overridden.add(name);
  }
  return overridden;
}

function exportVariable(source, name) {
  for (const statement of source.statements) {
    if (!(statement instanceof VariableStatement)) continue;
    for (const declaration of statement.declarations) {
      if (declaration.name.text === name) declaration.set(CommonFlags.Export);
    }
  }
}

/** asc's allocator doubles the memory when it is short of it; with this, a quarter more is what it asks for. */
function growBySteps(source) {
  const grow = source.statements.find((statement) => statement.name?.text === "growMemory");
  for (const statement of grow?.body.statements ?? []) {
    if (!(statement instanceof VariableStatement)) continue;
    for (const { name, initializer } of statement.declarations) {
      if (name.text !== "pagesWanted") continue;
      const [before] = initializer.args;
      initializer.args[0] = Node.createBinaryExpression(Token.GreaterThan_GreaterThan, before, Node.createIntegerLiteralExpression(i64_new(2, 0), before.range), before.range);
    }
  }
}

function importedNames(binaryen, module) {
  const names = new Set();
  for (let index = 0; index < module.getNumFunctions(); index++) {
    const info = binaryen.getFunctionInfo(module.getFunctionByIndex(index));
    if (info.module) names.add(info.base);
  }
  return names;
}

export default class SelvedgeTransform {
  constructor() {
    // asc puts these on the prototype; an own copy keeps two compilations in one process apart.
    this.program = this.program;
    this.binaryen = this.binaryen;
    /** SDK exports that this build left out. */
    this.pruned = [];
    /** SDK exports to drop after compilation unless their cause is imported. */
    this.conditional = [];
  }

  /** All sources are parsed, nothing is initialized. */
  afterParse() {
    const { sources, options } = this.program;
    for (const source of sources) {
      if (source.internalPath === "~lib/rt/tcms") exportVariable(source, "total");
      if (source.internalPath === "~lib/rt/tlsf") growBySteps(source);
      if (!source.internalPath.startsWith("~lib/")) staticBytes(source);
    }
    const abort = sources.find((source) => source.internalPath.endsWith("sdk/assembly/abi/abort"));
    if (abort) {
      options.globalAliases ??= new Map();
      if (!options.globalAliases.has("abort")) options.globalAliases.set("abort", `${abort.internalPath}/selvedgeAbort`);
    }
  }

  /** Classes and their bases are linked, nothing is compiled: an export removed here is never compiled. */
  afterInitialize(program) {
    const sdk = findSdk(program);
    if (!sdk) return;
    const overridden = overriddenMethods(program, sdk.context);
    for (const [name, element] of sdk.exports) {
      if (Object.hasOwn(CALLBACK_CAUSES, name)) this.conditional.push(name);
      const methods = Object.hasOwn(CALLBACK_METHODS, name) ? CALLBACK_METHODS[name] : null;
      if (!methods || methods.some((method) => overridden.has(method))) continue;
      sdk.exports.delete(name);
      element.unset(CommonFlags.ModuleExport);
      this.pruned.push(name);
    }
  }

  /** Compiled, not yet optimized: what is removed here takes what it alone calls along. */
  afterCompile(module) {
    if (!this.conditional.length) return;
    const imported = importedNames(this.binaryen, module);
    for (const name of this.conditional) {
      if (CALLBACK_CAUSES[name].some((cause) => imported.has(cause))) continue;
      module.removeExport(name);
      this.pruned.push(name);
    }
  }
}
