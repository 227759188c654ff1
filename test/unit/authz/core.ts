import { instantiate } from "@assemblyscript/loader";
import { compileModule } from "../../../harness/build/index.ts";
import { isCelError, parse, plan, type CelInput, type CelValue } from "@bufbuild/cel";
import { environment } from "../../../harness/host/cel-library.ts";
import { fromCel, toCel } from "../../../harness/host/cel-values.ts";
import type { Json } from "../../../harness/host/proto.ts";
import { metadataValue, serialize } from "../../../harness/host/values.ts";

/** Whose metadata holds the token's payload. */
export const JWT_FILTER = "envoy.filters.http.jwt_authn";

/** A request as the engine sees it; what is left out is absent. */
export interface Request {
  method?: string;
  path?: string;
  host?: string;
  headers?: [string, string][];
  /** The peer's URI SAN. */
  peer?: string;
  sni?: string;
  route?: string;
  /** With port, as Envoy prints it. */
  remote?: string;
  destination?: string;
  /** Without port. */
  direct?: string;
  port?: number;
  /** Payload of the verified token. */
  claims?: Record<string, Json>;
  /** Other filters' dynamic metadata, by their names. */
  metadata?: Record<string, Json>;
}

export const AMBIGUOUS_PATH = "ambiguous path";

export interface Decision {
  allowed: boolean;
  /** `<namespace>/<policy>#<rule>` or `none`, or {@link AMBIGUOUS_PATH}. */
  rule: string;
  /** What the policies on trial alone say; undefined where there are none. */
  dryRunAllowed?: boolean;
  /** The AUDIT and the CUSTOM rule that matched, if any. */
  audited?: string;
  handedOver?: string;
}

interface Exports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  alloc(bytes: number): number;
  free(at: number): void;
  configure(at: number, bytes: number): number;
  unattached(): number;
  needs(): number;
  attribute(which: number, at: number, bytes: number): void;
  port(value: number): void;
  decide(pairs: number, bytes: number, strict: boolean): number;
  decisive(): number;
  audited(): number;
  handedOver(): number;
  parseIp(at: number, bytes: number): number;
  template(at: number, bytes: number, path: number, pathBytes: number): number;
  claimSources(): number;
  claim(index: number, at: number, bytes: number): void;
  claimReads(): number;
  __getString(at: number): string;
}

const ROOM = 256 * 1024;

/** Drives the pure part of the authz filter, compiled by itself. */
export class Core {
  /** The CEL expressions of the claims that the policies look at. */
  sources: string[] = [];
  private readonly compiled = new Map<string, (bindings: Record<string, CelInput>) => CelValue | Error>();

  private constructor(private readonly exports: Exports, private readonly room: number) {}

  static async load(): Promise<Core> {
    const wasm = await compileModule({ entry: "test/unit/authz/assembly/core.ts", options: { runtime: "minimal", optimizeLevel: 2 } });
    const exports = (await instantiate(wasm, {})).exports as unknown as Exports;
    return new Core(exports, exports.alloc(ROOM));
  }

  /** The message of what is wrong, or "". */
  configure(configuration: unknown): string {
    return this.configureText(typeof configuration === "string" ? configuration : JSON.stringify(configuration));
  }

  configureText(text: string | Uint8Array): string {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const at = this.exports.alloc(bytes.length + 1);
    new Uint8Array(this.exports.memory.buffer).set(bytes, at);
    const error = this.exports.__getString(this.exports.configure(at, bytes.length));
    // The engine must not look at the configuration's text again.
    new Uint8Array(this.exports.memory.buffer).fill(0xee, at, at + bytes.length);
    this.exports.free(at);
    this.sources = this.exports.__getString(this.exports.claimSources()).split("\n").slice(0, -1);
    try {
      for (const source of this.sources) if (!this.compiled.has(source)) this.compiled.set(source, plan(environment, parse(source)) as never);
    } catch {
      // As the filter says it when Envoy doesn't take an expression: of a name with a line break in it, say.
      return "$: found claims that Envoy takes no CEL expression for, expected names in UTF-8, and an Envoy built with CEL";
    }
    return error;
  }

  get unattached(): string {
    return this.exports.__getString(this.exports.unattached());
  }

  get needs(): number {
    return this.exports.needs();
  }

  get memoryBytes(): number {
    return this.exports.memory.buffer.byteLength;
  }

  /** @param strict with `strictPaths` */
  decide(request: Request, strict = false): Decision {
    const { exports } = this;
    let at = this.room;
    const memory = Buffer.from(exports.memory.buffer);
    const text = (value: string | undefined): [number, number] => {
      if (value === undefined) return [0, 0];
      const from = at;
      at += memory.write(value, at, "latin1");
      return [from, at - from];
    };
    const attributes = [request.peer, request.sni, request.route, request.remote, request.destination, request.direct];
    attributes.forEach((value, which) => exports.attribute(which, ...text(value)));
    exports.port(request.port ?? -1);
    const metadata = metadataValue({ ...request.metadata, ...(request.claims && { [JWT_FILTER]: { payload: request.claims } }) });
    this.sources.forEach((source, index) => {
      const result = this.compiled.get(source)!(metadata === undefined ? {} : { metadata: toCel(metadata) });
      const value = isCelError(result) ? undefined : fromCel(result as CelValue);
      const list = value && serialize(value);
      exports.claim(index, ...text(list === undefined ? undefined : Buffer.from(list as Uint8Array).toString("latin1")));
    });
    const pairs: [string, string][] = [];
    if (request.host !== undefined) pairs.push([":authority", request.host]);
    if (request.path !== undefined) pairs.push([":path", request.path]);
    if (request.method !== undefined) pairs.push([":method", request.method]);
    pairs.push(...(request.headers ?? []));
    at = (at + 8) & ~7;
    const start = at;
    memory.writeUInt32LE(pairs.length, at);
    at += 4;
    for (const pair of pairs) for (const part of pair) at = memory.writeUInt32LE(part.length, at);
    for (const pair of pairs) {
      for (const part of pair) {
        at += memory.write(part, at, "latin1");
        memory[at++] = 0;
      }
    }
    const result = exports.decide(start, at - start, strict);
    const rule = exports.__getString(exports.decisive());
    const [audited, handedOver] = [exports.__getString(exports.audited()), exports.__getString(exports.handedOver())];
    const decision: Decision = { allowed: (result & 1) !== 0, rule, ...(audited && { audited }), ...(handedOver && { handedOver }) };
    if (result & 8) decision.rule = AMBIGUOUS_PATH;
    if (result & 4) decision.dryRunAllowed = (result & 2) !== 0;
    return decision;
  }

  /** How many claims were read since this was asked last. */
  get claimReads(): number {
    return this.exports.claimReads();
  }

  parseIp(text: string): string {
    const n = Buffer.from(this.exports.memory.buffer).write(text, this.room, "utf8");
    return this.exports.__getString(this.exports.parseIp(this.room, n));
  }

  /** Undefined where the template is not valid. */
  template(template: string, path: string): boolean | undefined {
    const memory = Buffer.from(this.exports.memory.buffer);
    const n = memory.write(template, this.room, "latin1");
    const m = memory.write(path, this.room + n, "latin1");
    const result = this.exports.template(this.room, n, this.room + n, m);
    return result < 0 ? undefined : result === 1;
  }
}
