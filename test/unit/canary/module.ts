import { instantiateSync } from "@assemblyscript/loader";
import { compileModule } from "../../../harness/build/index.ts";

const encoder = new TextEncoder();

/** The canary's pure parts, called with text, bytes and 64 bits as bigint. */
export interface Pure {
  hash(bytes: Uint8Array | string, seed?: bigint): bigint;
  hashWithPrefix(prefix: string, key: string): bigint;
  cookie(header: string, name: string): string | null;
  host(endpoint: string): string;
  scale(bits: bigint, total: number): number;
  /** @param weights the stable arm's first */
  pick(weights: number[], bits: bigint): number;
  seed(value: bigint): void;
  next(): bigint;
}

interface Raw {
  __newArrayBuffer(data: ArrayBuffer): number;
  __getArrayBuffer(pointer: number): ArrayBuffer;
  __collect(): void;
  [name: string]: (...args: never[]) => unknown;
}

export async function loadPure(): Promise<Pure> {
  const wasm = await compileModule({ entry: "test/unit/canary/assembly/pure.ts", options: { runtime: "minimal" } });
  const raw = instantiateSync(new WebAssembly.Module(wasm), {}).exports as unknown as Raw;
  const call = (name: string, ...args: (Uint8Array | string | bigint)[]): unknown => {
    const plain = args.map((arg) => (typeof arg === "bigint" ? arg : raw.__newArrayBuffer((typeof arg === "string" ? encoder.encode(arg) : arg).slice().buffer as ArrayBuffer)));
    return (raw[name] as (...args: unknown[]) => unknown)(...plain);
  };
  // A collection walks the whole heap: not after each call.
  let calls = 0;
  const done = <T>(value: T): T => {
    if (++calls % 500 === 0) raw.__collect();
    return value;
  };
  const unsigned = (value: unknown): bigint => BigInt.asUintN(64, value as bigint);
  const text = (pointer: unknown): string | null => (pointer === 0 ? null : new TextDecoder().decode(raw.__getArrayBuffer(pointer as number)));
  return {
    hash: (bytes, seed = 0n) => done(unsigned(call("hash", bytes, seed))),
    hashWithPrefix: (prefix, key) => done(unsigned(call("hashWithPrefix", prefix, key))),
    cookie: (header, name) => done(text(call("cookie", header, name))),
    host: (endpoint) => done(text(call("host", endpoint))!),
    scale: (bits, total) => (raw.scale as unknown as (bits: bigint, total: number) => number)(bits, total) >>> 0,
    pick: (weights, bits) => done(call("pick", new Uint8Array(Uint32Array.from(weights).buffer), bits) as number),
    seed: (value) => void call("seed", value),
    next: () => unsigned(call("next")),
  };
}
