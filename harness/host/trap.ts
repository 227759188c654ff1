import { formatSymbol } from "../build/symbolize.ts";
import type { Position } from "../errors.ts";
import type { WasmModule } from "./module.ts";

/** One frame of a module's stack, innermost first. */
export interface TrapFrame {
  /** Byte offset in the module file, as Envoy prints it: what a source map is looked up with. */
  offset: number;
  functionIndex: number;
  /** The source's function where a source map says which; else from the name section, else its export, else `function[N]`. */
  name: string;
  /** Place in the source, where a source map says it. */
  where?: Position;
  /** That place is of the code before: the map has nothing for this very instruction. */
  near?: true;
}

/** Why and where a module stopped. */
export interface Trap {
  module: string;
  callback: string;
  reason: string;
  frames: TrapFrame[];
  /** The whole as Envoy logs it, with the places in the source. */
  message: string;
}

/** V8 prints `at name (wasm://wasm/mod-hash:wasm-function[3]:0x1a2)`. */
const FRAME = /^\s*at (?:.* \()?wasm:\/\/[^\s)]*?:wasm-function\[(\d+)\]:0x([0-9a-f]+)\)?$/;

/** Envoy keeps at most 20 frames. */
const MAX_FRAMES = 20;

/** Reads an exception that left the module. @internal */
export function describeTrap(module: WasmModule, callback: string, error: unknown): Trap {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const frames: TrapFrame[] = [];
  for (const line of (thrown.stack ?? "").split("\n")) {
    const match = FRAME.exec(line);
    if (match === null || frames.length === MAX_FRAMES) continue;
    const functionIndex = Number(match[1]);
    if (module.isOwnCheck(functionIndex)) continue;
    const offset = module.fileOffset(parseInt(match[2]!, 16));
    const symbol = module.symbols?.symbolize(offset);
    frames.push({ offset, functionIndex, name: symbol?.function ?? module.functionName(functionIndex), ...(symbol?.where && { where: symbol.where }), ...(symbol?.near && { near: true }) });
  }
  const reason = `${thrown.name}: ${thrown.message}`;
  const backtrace = frames.map((frame, i) => `\n${String(i).padStart(3)}:  0x${frame.offset.toString(16)} - ${formatSymbol({ ...frame, function: frame.name })}`).join("");
  const message = `Function: ${callback} failed: Uncaught ${reason}${backtrace === "" ? "" : `\nProxy-Wasm plugin in-VM backtrace:${backtrace}`}`;
  return { module: module.name, callback, reason, frames, message };
}
