/** Maps a path inside a parsed YAML document back to the line and column where it was written. */
import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node, type Pair } from "yaml";
import type { Position } from "../errors.ts";

/** Steps from the root of a document: field names and list indexes. */
export type Path = readonly (string | number)[];

interface Place {
  key?: number;
  value?: number;
}

/** One YAML document of one file. */
export class Source {
  readonly file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.file = file;
    this.#document = document;
    this.#lines = lines;
  }

  /**
   * Position of the value at `path`, or of the key that introduces it. A path that leads nowhere (a missing field)
   * gives the place of its deepest existing ancestor, so that a finding always points at something.
   */
  at(path: Path, part: "key" | "value" = "value"): Position {
    let node: unknown = this.#document.contents;
    let place: Place = { value: start(node) };
    for (const step of path) {
      const next = child(resolve(node, this.#document), step);
      if (!next) {
        // Point at the key of the ancestor: that is the line a reader looks for.
        return this.#position(place.key ?? place.value);
      }
      node = next.node;
      place = { key: next.key, value: start(node) ?? next.key };
    }
    return this.#position(part === "key" ? (place.key ?? place.value) : (place.value ?? place.key));
  }

  #position(offset: number | undefined): Position {
    if (offset === undefined) return { file: this.file, line: 1, col: 1 };
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line: Math.max(line, 1), col: Math.max(col, 1) };
  }
}

function resolve(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function start(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function child(node: unknown, step: string | number): { node: unknown; key?: number } | undefined {
  if (isSeq(node) && typeof step === "number") {
    return step < node.items.length ? { node: node.items[step] } : undefined;
  }
  if (isMap(node)) {
    const named = (spell: (key: string) => string) => node.items.find((item: Pair) => isScalar(item.key) && spell(String(item.key.value)) === String(step));
    // Envoy takes normalizePath for normalize_path.
    const pair = named((key) => key) ?? named((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    if (pair) return { node: pair.value, key: start(pair.key) };
  }
  return undefined;
}
