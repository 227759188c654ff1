/** Puts names and places into the backtraces that Envoy (and the host) logs when a module traps. */
import { formatSymbol, type Symbolizer } from "./symbolize.ts";

const HEADER = "Proxy-Wasm plugin in-VM backtrace:";
/** `  0:  0x44d - name`, or where the module has no name for it `unknown(function index:5)`. */
const FRAME = /^(\s*\d+: +)0x([0-9a-f]+)( - )(.*)$/;
const UNKNOWN = /^unknown\(function index:(\d+)\)$/;

export interface LoggedFrame {
  offset: number;
  /** As logged. */
  name: string;
}

/**
 * The same text with each backtrace's frames named: `0:  0x44d - deep (filters/x/assembly/y.ts:3:5)`. A backtrace doesn't say
 * which module it is of: it is that of the only module here, or of the only one in which its offsets lie in its functions.
 */
export function symbolizeLog(text: string, modules: readonly Symbolizer[]): string {
  if (!text.includes(HEADER)) return text;
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    if (!lines[at]!.trimEnd().endsWith(HEADER)) continue;
    const frames: RegExpExecArray[] = [];
    for (let match; (match = FRAME.exec(lines[at + 1 + frames.length] ?? "")) !== null; ) frames.push(match);
    const module = moduleOf(frames.map(([, , offset, , name]) => ({ offset: parseInt(offset!, 16), name: name!.trim() })), modules);
    frames.forEach(([, head, offset, dash], index) => {
      const symbol = module?.symbolize(parseInt(offset!, 16));
      if (symbol) lines[at + 1 + index] = `${head}0x${offset}${dash}${formatSymbol(symbol)}`;
    });
    at += frames.length;
  }
  return lines.join("\n");
}

/**
 * What the last trap in a log says that is this module's, from `Function: … failed` to its last frame, with places.
 * Undefined: none.
 */
export function lastTrap(log: string, module: Symbolizer): string | undefined {
  const lines = log.split("\n");
  for (let at = lines.length - 1; at >= 0; at--) {
    const head = /Function: \w+ failed: .*$/.exec(lines[at]!)?.[0];
    if (head === undefined) continue;
    let end = at + 1;
    if (lines[end]?.trimEnd() === HEADER) do end++; while (FRAME.test(lines[end] ?? ""));
    const frames = lines.slice(at + 2, end).map((line) => FRAME.exec(line)!).map(([, , offset, , name]) => ({ offset: parseInt(offset!, 16), name: name!.trim() }));
    if (holds(module, frames)) return symbolizeLog([head, ...lines.slice(at + 1, end)].join("\n"), [module]);
  }
  return undefined;
}

/** Whether every frame lies in the function that it says. */
function holds(module: Symbolizer, frames: readonly LoggedFrame[]): boolean {
  return frames.every(({ offset, name }) => {
    const index = module.functionIndexAt(offset);
    if (index === undefined) return false;
    const unknown = UNKNOWN.exec(name)?.[1];
    return unknown === undefined ? module.nameOf(index) === undefined || module.nameOf(index) === name : Number(unknown) === index;
  });
}

function moduleOf(frames: readonly LoggedFrame[], modules: readonly Symbolizer[]): Symbolizer | undefined {
  const fitting = modules.filter((module) => holds(module, frames));
  // Of a module and its debug build, it is the one that has as many names as Envoy printed.
  const named = fitting.length < 2 ? fitting : fitting.filter((module) => frames.every(({ offset, name }) => UNKNOWN.test(name) !== module.module.functionNames.has(module.functionIndexAt(offset)!)));
  return named.length === 1 ? named[0] : undefined;
}
