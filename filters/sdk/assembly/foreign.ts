/**
 * Foreign functions that Envoy 1.36–1.40 registers, typed. Names and message fields: envoy
 * source/extensions/common/wasm/foreign.cc and its foreign.proto.
 */
import { proxy_call_foreign_function } from "./abi/imports";
import { WasmResultValues } from "./abi/enums";
import { ABSENT, View, address, size, utf8, view } from "./bytes";
import { ProtoReader, ProtoWriter } from "./proto";

const out = memory.data(8, 4);

/** The status of the last foreign call: `NotFound` where the host doesn't know the function. */
export let lastForeignResult: WasmResultValues = WasmResultValues.Ok;

/** Calls any foreign function; its result (perhaps empty), or {@link ABSENT} with {@link lastForeignResult} set. */
export function callForeign(name: View, args: View): View {
  store<u64>(out, 0); // a host may leave the result untouched where there is none
  lastForeignResult = proxy_call_foreign_function(address(name), size(name), address(args), size(args), out, out + 4);
  return lastForeignResult == WasmResultValues.Ok ? view(load<usize>(out), load<u32>(out + 4)) : ABSENT;
}

// @ts-ignore: decorator
@lazy const CLEAR_ROUTE_CACHE = utf8("clear_route_cache");

/**
 * Makes Envoy choose the route again, from the headers and filter state as they then are, once this callback returns: until
 * then attributes such as `xds.route_name` tell the old one. Only while handling a request.
 */
export function clearRouteCache(): bool {
  return callForeign(CLEAR_ROUTE_CACHE, view(0, 0)) != ABSENT;
}

// @ts-ignore: decorator
@lazy const COMPRESS = utf8("compress");

/** zlib (RFC 1950). {@link ABSENT} on failure. */
export function compress(data: View): View {
  return callForeign(COMPRESS, data);
}

// @ts-ignore: decorator
@lazy const UNCOMPRESS = utf8("uncompress");

/** Undoes {@link compress}. The host puts no limit on the result: never pass what an attacker could have written. */
export function uncompress(data: View): View {
  return callForeign(UNCOMPRESS, data);
}

// @ts-ignore: decorator
@lazy const VERIFY_SIGNATURE = utf8("verify_signature");

/**
 * Checks an RSA PKCS#1 v1.5 or ECDSA (ASN.1 DER) signature; Ed25519 and RSA-PSS are not available there.
 *
 * @param hash `sha256`, `sha384` or `sha512`
 * @param publicKey SubjectPublicKeyInfo, DER
 * @returns true only where the host said so; anything unexpected is false
 */
export function verifySignature(hash: View, publicKey: View, signature: View, text: View): bool {
  const message = new ProtoWriter().bytes(1, hash).bytes(2, publicKey).bytes(3, signature).bytes(4, text);
  const answer = callForeign(VERIFY_SIGNATURE, message.finish());
  if (answer == ABSENT) return false;
  const reader = new ProtoReader(answer);
  let verified = false;
  while (reader.next()) {
    if (reader.field == 1) verified = reader.varint == 1;
  }
  return reader.valid && verified;
}

// @ts-ignore: decorator
@lazy const SET_ENVOY_FILTER_STATE = utf8("set_envoy_filter_state");

/** How long an object of filter state lives. */
export enum LifeSpan { FilterChain = 0, DownstreamRequest = 1, DownstreamConnection = 2 }

/**
 * Sets a filter state object that Envoy itself reads. `path` names both the object and its factory, so only registered
 * ones work, e.g. `envoy.network.upstream_server_name`; for a value of your own use `setProperty`.
 */
export function setEnvoyFilterState(path: View, value: View, span: LifeSpan): bool {
  const message = new ProtoWriter().bytes(1, path).bytes(2, value).varint(3, <u64>span);
  return callForeign(SET_ENVOY_FILTER_STATE, message.finish()) != ABSENT;
}

// @ts-ignore: decorator
@lazy const DECLARE_PROPERTY = utf8("declare_property");

export enum PropertyType { Bytes = 0, String = 1, FlatBuffers = 2, Protobuf = 3 }

/**
 * Declares a property that `setProperty` will write: its type, whether it can be written once only, and how long it lives.
 * From the root context, in `onConfigure`: a declaration by a stream is accepted and has no effect. False also where the
 * name is declared already.
 */
export function declareProperty(name: View, readOnly: bool, type: PropertyType, span: LifeSpan, schema: View = view(0, 0)): bool {
  const message = new ProtoWriter().bytes(1, name).varint(2, readOnly ? 1 : 0).varint(3, <u64>type).bytes(4, schema).varint(5, <u64>span);
  return callForeign(DECLARE_PROPERTY, message.finish()) != ABSENT;
}

// @ts-ignore: decorator
@lazy const EXPR_CREATE = utf8("expr_create");
// @ts-ignore: decorator
@lazy const EXPR_EVALUATE = utf8("expr_evaluate");
// @ts-ignore: decorator
@lazy const EXPR_DELETE = utf8("expr_delete");

/** Has the host compile a CEL expression; its token is written to `token`, 4 bytes. False: the host doesn't take it. */
export function compileExpression(source: View, token: usize): bool {
  const answer = callForeign(EXPR_CREATE, source);
  const valid = answer != ABSENT && size(answer) == 4;
  store<u32>(token, valid ? load<u32>(address(answer)) : u32.MAX_VALUE);
  return valid;
}

/** The expression's value for the effective context's stream, serialised like a property, or {@link ABSENT}. */
export function evaluateExpression(token: usize): View {
  return callForeign(EXPR_EVALUATE, view(token, 4));
}

export function deleteExpression(token: usize): void {
  callForeign(EXPR_DELETE, view(token, 4));
}

/** A CEL expression compiled in the host. Its result is serialised like a property. */
export class Expression {
  private readonly token: usize = heap.alloc(4);
  /** Did the host accept the source? */
  readonly valid: bool;

  constructor(source: View) {
    this.valid = compileExpression(source, this.token);
  }

  /** The value for the effective context's stream, or {@link ABSENT}. */
  evaluate(): View {
    return this.valid ? evaluateExpression(this.token) : ABSENT;
  }

  /** Frees it in the host. Do not evaluate it afterwards. */
  delete(): void {
    if (this.valid) deleteExpression(this.token);
  }
}
