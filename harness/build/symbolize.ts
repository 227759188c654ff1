/** From a byte offset in a module to the place in its source, by the source map next to it. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SelvedgeError, formatPosition, type Position } from "../errors.ts";
import { packageRoot } from "./root.ts";
import { functionAt, functionsIn, type SourceFunction } from "./source-functions.ts";
import { readSourceMap, segmentAt, type Segment, type SourceMap } from "./source-map.ts";
import { readWasm, type WasmModule } from "./wasm.ts";

/** Where an offset leads. */
export interface Symbol {
  /** Of the source's function, which may be inlined; else from the name section or the exports, else `function[N]`. */
  function: string;
  /** Undefined where the map has nothing, or there is no map. */
  where?: Position;
  /** The map has nothing for this very instruction, as asc leaves it with `throw`: the place is that of the code before it. */
  near?: true;
}

export interface Symbols {
  /** @param offset of an instruction, in bytes from the start of the module's file */
  symbolize(offset: number): Symbol | undefined;
}

/** `Class#method (filters/x/assembly/y.ts:12:3)`. */
export function formatSymbol({ function: name, where, near }: Symbol): string {
  return where === undefined ? name : `${name} (${near ? "near " : ""}${formatPosition(where)})`;
}

export interface LoadedMap extends SourceMap {
  /** Path of the map; of the module where the map is inside of it. */
  file: string;
}

/**
 * The source map of a module: `<module>.map` next to it, or where its section `sourceMappingURL` says (a path from the
 * module, or a data URL; nothing is fetched). Undefined where there is none.
 *
 * @throws SelvedgeError `source-map-malformed`
 */
export function findSourceMap(module: WasmModule, file: string): LoadedMap | undefined {
  const [beside, said] = [`${file}.map`, mappedFile(module.sourceMappingUrl, file)];
  const inline = /^data:[^,]*?(;base64)?,(.*)$/s.exec(module.sourceMappingUrl ?? "");
  if (!existsSync(beside) && inline) {
    const text = inline[1] === undefined ? decodeURIComponent(inline[2]!) : Buffer.from(inline[2]!, "base64").toString();
    return { ...readSourceMap(text, file), file };
  }
  const found = [beside, said].find((path) => path !== undefined && existsSync(path));
  return found === undefined ? undefined : { ...readSourceMap(readFileSync(found, "utf8"), found), file: found };
}

function mappedFile(url: string | null, file: string): string | undefined {
  if (url === null || url === "" || (/^[a-z][a-z0-9+.-]+:/i.test(url) && !url.startsWith("file:"))) return undefined;
  try {
    return url.startsWith("file:") ? fileURLToPath(url) : resolve(dirname(file), decodeURIComponent(url));
  } catch {
    return undefined;
  }
}

/** Path of a map's source: the first place where there is such a file, with the text that the map has; from here where that is shorter. */
export function sourcePath(map: LoadedMap, index: number): string {
  const source = map.sources[index]!;
  if (source.startsWith("~lib/")) return source;
  const folders = isAbsolute(source) ? [""] : [join(dirname(map.file), map.sourceRoot), dirname(map.file), process.cwd(), packageRoot];
  const paths = [...new Set(folders.map((folder) => (folder === "" ? source : resolve(folder, source))))].filter((path) => existsSync(path));
  const content = map.contents[index];
  const found = paths.find((path) => content !== undefined && readFileSync(path, "utf8") === content) ?? paths[0];
  if (found === undefined) return source;
  const fromHere = relative(process.cwd(), found);
  return fromHere.startsWith("..") ? found : fromHere;
}

/** Reads a module, and its map when it is first asked. One that has no map still knows names. */
export class Symbolizer implements Symbols {
  readonly module: WasmModule;
  private readonly names: ReadonlyMap<number, string>;
  private readonly importCount: number;
  #map: LoadedMap | null | undefined;
  readonly #functions = new Map<number, SourceFunction[]>();
  readonly #paths = new Map<number, string>();

  /** @throws SelvedgeError when the bytes are no module */
  constructor(bytes: Uint8Array, readonly file: string, map?: LoadedMap) {
    this.module = readWasm(bytes);
    const exported = this.module.exports.filter(({ kind }) => kind === "function").map(({ index, name }) => [index, name] as const);
    this.names = new Map([...exported, ...this.module.functionNames]);
    this.importCount = this.module.imports.filter(({ kind }) => kind === "function").length;
    this.#map = map;
  }

  /** The module's source map; null: it has none that can be read. */
  get map(): LoadedMap | null {
    if (this.#map !== undefined) return this.#map;
    try {
      return (this.#map = findSourceMap(this.module, this.file) ?? null);
    } catch (error) {
      if (!(error instanceof SelvedgeError)) throw error;
      return (this.#map = null); // a stack without places is better than none
    }
  }

  /** Index of the function whose code has this offset. */
  functionIndexAt(offset: number): number | undefined {
    const { functionOffsets, functionSizes } = this.module;
    const position = functionOffsets.findLastIndex((start) => start <= offset);
    return position < 0 || offset >= functionOffsets[position]! + functionSizes[position]! ? undefined : this.importCount + position;
  }

  /** What the module itself calls a function. */
  nameOf(index: number): string | undefined {
    return this.names.get(index);
  }

  symbolize(offset: number): Symbol | undefined {
    const index = this.functionIndexAt(offset);
    if (index === undefined) return undefined;
    const start = this.module.functionOffsets[index - this.importCount]!;
    const exact = this.map === null ? undefined : segmentAt(this.map.segments, offset, start);
    const segment = exact ?? this.before(offset, start);
    const own = this.nameOf(index) ?? `function[${index}]`;
    if (segment === undefined) return { function: own };
    // Code before may be inlined from elsewhere: what has a name of its own is called by it.
    const name = exact === undefined ? (this.nameOf(index) ?? this.sourceFunction(segment)) : this.sourceFunction(segment);
    return { function: name ?? own, where: { file: this.pathOf(segment.source!), line: segment.line, col: segment.col }, ...(exact === undefined && { near: true }) };
  }

  /** The last segment before an offset in its function that is of somebody's own source, not of asc's library. */
  private before(offset: number, start: number): Segment | undefined {
    return this.map?.segments.findLast((segment) => segment.offset < offset && segment.offset >= start && segment.source !== undefined && !this.map!.sources[segment.source]!.startsWith("~lib/"));
  }

  private sourceFunction({ source, line }: Segment): string | undefined {
    const text = this.map!.contents[source!];
    if (text === undefined) return undefined;
    let functions = this.#functions.get(source!);
    if (functions === undefined) this.#functions.set(source!, (functions = functionsIn(text)));
    return functionAt(functions, line)?.name;
  }

  private pathOf(source: number): string {
    let path = this.#paths.get(source);
    if (path === undefined) this.#paths.set(source, (path = sourcePath(this.map!, source)));
    return path;
  }
}
