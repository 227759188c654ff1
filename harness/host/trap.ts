import type { WasmModule } from "./module.ts";

/** One frame of a module's stack, innermost first. */
export interface TrapFrame {
  /** Byte offset in the module file, as Envoy prints it: what a source map is looked up with. */
  offset: number;
  functionIndex: number;
  /** From the name section, else its export, else `function[N]`. */
  name: string;
}

/** Why and where a module stopped. */
export interface Trap {
  module: string;
  callback: string;
  reason: string;
  frames: TrapFrame[];
  /** The whole as Envoy logs it. */
  message: string;
}

/** V8 prints `at name (wasm://wasm/mod-hash:wasm-function[3]:0x1a2)`. */
const FRAME = /^\s*at (?:.* \()?wasm:\/\/[^\s)]*?:wasm-function\[(\d+)\]:0x([0-9a-f]+)\)?$/;

/** Envoy keeps at most 20 frames. */
const MAX_FRAMES = 20;

/** Reads an exception that left the module. */
export function describeTrap(module: WasmModule, callback: string, error: unknown): Trap {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const frames: TrapFrame[] = [];
  for (const line of (thrown.stack ?? "").split("\n")) {
    const match = FRAME.exec(line);
    if (match === null || frames.length === MAX_FRAMES) continue;
    const functionIndex = Number(match[1]);
    if (module.isOwnCheck(functionIndex)) continue;
    frames.push({ offset: module.fileOffset(parseInt(match[2]!, 16)), functionIndex, name: module.functionName(functionIndex) });
  }
  const reason = `${thrown.name}: ${thrown.message}`;
  const backtrace = frames.map((frame, i) => `\n${String(i).padStart(3)}:  0x${frame.offset.toString(16)} - ${frame.name}`).join("");
  const message = `Function: ${callback} failed: Uncaught ${reason}${backtrace === "" ? "" : `\nProxy-Wasm plugin in-VM backtrace:${backtrace}`}`;
  return { module: module.name, callback, reason, frames, message };
}
