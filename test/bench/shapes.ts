/**
 * What a decision costs as policies grow, for each shape that policies come in: one decision by the compiled engine on Node's
 * WebAssembly, without a proxy. Only the ratios mean something elsewhere.
 */
import { instantiate } from "@assemblyscript/loader";
import { compileModule } from "../../harness/build/index.ts";
import { encodePairs } from "../../harness/host/pairs.ts";

interface Rule {
  from?: object[];
  to?: object[];
  when?: object[];
}

interface Shape {
  name: string;
  rule(i: number, n: number): Rule;
  /** A request that the policy at about the middle allows. */
  request(i: number, n: number): { path?: string; host?: string; peer?: string; remote?: string; header?: string };
}

const from = (source: object): object[] => [{ source }];
const to = (operation: object): object[] => [{ operation }];
const side = (n: number): number => Math.ceil(Math.sqrt(n));
const edge = (n: number): number => Math.ceil(Math.cbrt(n));
const peer = (i: number): string => `cluster.local/ns/ns${i % 50}/sa/app${i}`;
const network = (i: number): string => `10.${i >> 6}.${(i & 63) * 4}.${i % 2 ? "0/24" : `${i % 250}/32`}`;

export const SHAPES: Shape[] = [
  { name: "point", rule: (i) => ({ from: from({ principals: [peer(i)] }), to: to({ paths: [`/p/${i}`] }) }), request: (i) => ({ peer: peer(i), path: `/p/${i}` }) },
  {
    name: "grid: principals × paths",
    rule: (i, n) => ({ from: from({ principals: [peer(i % side(n))] }), to: to({ paths: [`/p/${Math.floor(i / side(n))}`] }) }),
    request: (i, n) => ({ peer: peer(i % side(n)), path: `/p/${Math.floor(i / side(n))}` }),
  },
  {
    name: "grid: hosts × paths",
    rule: (i, n) => ({ to: to({ hosts: [`h${i % side(n)}.test`], paths: [`/p/${Math.floor(i / side(n))}`] }) }),
    request: (i, n) => ({ host: `h${i % side(n)}.test`, path: `/p/${Math.floor(i / side(n))}` }),
  },
  {
    name: "cube: principals × hosts × paths",
    rule: (i, n) => ({ from: from({ principals: [peer(i % edge(n))] }), to: to({ hosts: [`h${Math.floor(i / edge(n)) % edge(n)}.test`], paths: [`/p/${Math.floor(i / edge(n) ** 2)}`] }) }),
    request: (i, n) => ({ peer: peer(i % edge(n)), host: `h${Math.floor(i / edge(n)) % edge(n)}.test`, path: `/p/${Math.floor(i / edge(n) ** 2)}` }),
  },
  { name: "prefix", rule: (i) => ({ to: to({ paths: [`/tenant-${i}/*`] }) }), request: (i) => ({ path: `/tenant-${i}/orders/7` }) },
  { name: "host", rule: (i) => ({ to: to({ hosts: [`h${i}.test`, `h${i}.test:*`] }) }), request: (i) => ({ host: `h${i}.test` }) },
  { name: "CIDR", rule: (i) => ({ from: from({ remoteIpBlocks: [network(i)] }) }), request: (i) => ({ remote: `${network(i).split("/")[0]}:1` }) },
  { name: "CIDR set in one rule", rule: (i, n) => ({ from: from({ remoteIpBlocks: i === 0 ? Array.from({ length: n }, (_, k) => network(k)) : ["192.0.2.1"] }) }), request: (i) => ({ remote: `${network(i).split("/")[0]}:1` }) },
  { name: "header", rule: (i) => ({ when: [{ key: "request.headers[x-tenant]", values: [`t${i}`] }] }), request: (i) => ({ header: `t${i}` }) },
];

export interface ShapeResult {
  shape: string;
  policies: number;
  /** Nanoseconds for a decision: the quietest of many rounds. */
  nanoseconds: number;
  /** Milliseconds to read and compile the configuration. */
  configure: number;
  /** Bytes of linear memory afterwards. */
  memory: number;
}

interface Engine extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  alloc(bytes: number): number;
  free(at: number): void;
  configure(at: number, bytes: number): number;
  attribute(which: number, at: number, bytes: number): void;
  port(value: number): void;
  decide(pairs: number, bytes: number): number;
  __getString(at: number): string;
}

const DECISIONS = 2_000;
const ROUNDS = 40;

export async function measureShapes(sizes: readonly number[] = [10, 100, 1_000, 5_000], shapes: readonly Shape[] = SHAPES): Promise<ShapeResult[]> {
  const wasm = await compileModule({ entry: "test/unit/authz/assembly/core.ts", options: { runtime: "minimal", optimizeLevel: 3 } });
  const results: ShapeResult[] = [];
  for (const shape of shapes) for (const size of sizes) results.push(measure((await instantiate(wasm, {})).exports as unknown as Engine, shape, size));
  return results;
}

function measure(engine: Engine, shape: Shape, size: number): ShapeResult {
  const policies = Array.from({ length: size }, (_, i) => ({ metadata: { name: `p${i}` }, spec: { rules: [shape.rule(i, size)] } }));
  const text = Buffer.from(JSON.stringify({ policies }));
  const put = (bytes: Uint8Array): number => {
    const at = engine.alloc(bytes.length + 1);
    new Uint8Array(engine.memory.buffer).set(bytes, at);
    return at;
  };
  const configuration = put(text);
  const started = performance.now();
  const error = engine.__getString(engine.configure(configuration, text.length));
  const configure = performance.now() - started;
  if (error !== "") throw new Error(error);
  engine.free(configuration);
  // Several requests in turn, so that no branch is learned by heart.
  const requests = Array.from({ length: 16 }, (_, k) => {
    const request = shape.request(Math.floor((k * size) / 16), size);
    const pairs = encodePairs([[":authority", request.host ?? "example.test"], [":path", request.path ?? "/"], [":method", "GET"], ["user-agent", "bench"], ["accept", "*/*"], ...(request.header ? [["x-tenant", request.header] as [string, string]] : [])]);
    const attribute = (value: string | undefined): [number, number] => (value === undefined ? [0, 0] : [put(Buffer.from(value)), value.length]);
    return { at: put(pairs), size: pairs.length, peer: attribute(request.peer && `spiffe://${request.peer}`), remote: attribute(request.remote) };
  });
  const round = (): number => {
    const begin = performance.now();
    for (let i = 0; i < DECISIONS; i++) {
      const request = requests[i & 15]!;
      engine.attribute(0, ...request.peer);
      engine.attribute(3, ...request.remote);
      if ((engine.decide(request.at, request.size) & 1) === 0) throw new Error(`${shape.name}: denied`);
    }
    return ((performance.now() - begin) * 1e6) / DECISIONS;
  };
  engine.port(80);
  const rounds = Array.from({ length: ROUNDS }, round);
  return { shape: shape.name, policies: size, nanoseconds: Math.min(...rounds), configure, memory: engine.memory.buffer.byteLength };
}

/** A line for each shape: the cost at each size, and the ratio of the last to the first. */
export function printShapes(results: readonly ShapeResult[]): string {
  const lines = [...new Set(results.map(({ shape }) => shape))].map((name) => {
    const mine = results.filter(({ shape }) => shape === name);
    const last = mine.at(-1)!;
    const costs = mine.map(({ policies, nanoseconds }) => `${policies}: ${(nanoseconds / 1000).toFixed(2)} µs`).join("  ");
    return `${name.padEnd(34)} ${costs}  ×${(last.nanoseconds / mine[0]!.nanoseconds).toFixed(2)}  configure ${last.configure.toFixed(0)} ms, ${(last.memory / 2 ** 20).toFixed(1)} MB`;
  });
  return `${lines.join("\n")}\n`;
}
