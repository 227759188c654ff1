import { readFileSync } from "node:fs";
import wabtInit from "wabt";

const probe = (name: string): string => readFileSync(new URL(`./probes/${name}.wat`, import.meta.url), "utf8");

/** Where texts of `(str "…")` go: above the line buffer, below the heap. */
const DATA_START = 16384;
const DATA_END = 262144;

/** Length in bytes of the inside of a WAT string. */
function watLength(text: string): number {
  return Buffer.byteLength(text.replace(/\\[0-9a-fA-F]{2}|\\[ntr"'\\]/g, "x"), "utf8");
}

/**
 * Makes modules of the probes: `(str "text")` becomes the two operands pointer and length, with a data segment; a
 * probe starts with the prelude unless its first line says `;; standalone`.
 */
export async function compileProbes(names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const wabt = await wabtInit();
  const modules = new Map<string, Uint8Array>();
  for (const name of names) {
    const body = probe(name);
    const standalone = body.startsWith(";; standalone");
    // Imports have to come before everything else.
    const imports = standalone ? [] : body.match(/^\(import .*$/gm) ?? [];
    const rest = standalone ? body : body.replace(/^\(import .*$/gm, "");
    const texts = new Map<string, number>();
    let at = DATA_START;
    const expanded = (standalone ? body : `${imports.join("\n")}\n${probe("prelude")}\n${rest}`).replace(/\(str "((?:[^"\\]|\\.)*)"\)/g, (_, text: string) => {
      let pointer = texts.get(text);
      if (pointer === undefined) {
        texts.set(text, (pointer = at));
        at += watLength(text) + 1;
        if (at > DATA_END) throw new Error(`probe ${name} has too much text`);
      }
      return `(i32.const ${pointer}) (i32.const ${watLength(text)})`;
    });
    const data = [...texts].map(([text, pointer]) => `(data (i32.const ${pointer}) "${text}")`).join("\n");
    const source = standalone ? expanded.replace(/\)\s*$/, `${data})`) : `(module ${expanded}\n${data})`;
    const parsed = wabt.parseWat(`${name}.wat`, source, { bulk_memory: true, mutable_globals: true, sign_extension: true });
    modules.set(name, parsed.toBinary({ write_debug_names: true }).buffer);
    parsed.destroy();
  }
  return modules;
}
