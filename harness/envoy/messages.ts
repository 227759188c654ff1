import { lastTrap } from "../build/backtrace.ts";
import type { Symbolizer } from "../build/symbolize.ts";
import type { Finding } from "../errors.ts";

/** Envoy's log lines: `[time][thread][level][logger] [source] message`. */
const LINE = /^\[[^\]]*\]\[\d+\]\[(\w+)\]\[(\w+)\] \[[^\]]*\] ?(.*)$/;
/** What protobuf puts into debug strings, so that nobody parses them. */
const DEBUG_MARK = /goo\.gle\/debug\w+\s*/g;

interface Translation {
  pattern: RegExp;
  code: string;
  message: (match: RegExpExecArray) => string;
  fix?: string;
}

const TRANSLATIONS: Translation[] = [
  { pattern: /cannot bind '([^']+)': (.*)$/m, code: "envoy-port-in-use", message: (m) => `Envoy can't listen on ${m[1]}: ${m[2]}`, fix: "use another port" },
  { pattern: /Invalid path: (\S+)/, code: "envoy-file-missing", message: (m) => `there is no file ${m[1]}`, fix: "build the filters first (`selvedge build`), or correct the path" },
  { pattern: /no such field: '([^']+)'/, code: "envoy-config-field", message: (m) => `the configuration has a field that this Envoy doesn't know: ${m[1]}` },
  { pattern: /@ (\S+):\s+.*?unexpected character: +(.*?); expected +(.*?)\)/s, code: "envoy-config-type", message: (m) => `the value of ${m[1]} has the wrong type: found ${m[2]}, expected ${m[3]}` },
  { pattern: /could not find @type '([^']+)'/, code: "envoy-extension-missing", message: (m) => `this Envoy has no extension ${m[1]}`, fix: "use a full Envoy build, 1.36 or newer" },
  { pattern: /Unable to parse JSON as proto \(INVALID_ARGUMENT: ([^)]*)\)/, code: "envoy-config-syntax", message: (m) => `the configuration can't be parsed: ${m[1]}` },
  { pattern: /route: unknown cluster '([^']+)'/, code: "envoy-cluster-missing", message: (m) => `a route leads to cluster ${m[1]}, which doesn't exist` },
  { pattern: /cluster manager: duplicate cluster '([^']+)'/, code: "envoy-cluster-twice", message: (m) => `cluster ${m[1]} is defined twice` },
  { pattern: /Failed to load (certificate chain|(?:incomplete )?private key|trusted CA certificates?)(?: from)?(?: path:)? (\S+)/, code: "envoy-certificate", message: (m) => `the ${m[1]} can't be read from ${m[2]}`, fix: "give PEM files that this user may read" },
];

const WASM_CAUSES: [RegExp, string, string | undefined][] = [
  [/Missing or unknown Proxy-Wasm ABI version/, "it is not a Proxy-Wasm module", "`selvedge inspect` says what it is"],
  [/Failed to parse corrupted Wasm module/, "it is not a WebAssembly module", "`selvedge inspect` says what it is"],
  [/missing import: (\S+)/, "it imports what Envoy doesn't have", "`selvedge inspect` lists its imports"],
  [/import type mismatch: .*/, "it imports a host call with another signature than Envoy's", "`selvedge inspect` lists its imports"],
  [/Bad function signature for: .*/, "it exports a callback with another signature than Envoy calls", "`selvedge inspect` lists its callbacks"],
  [/Function: \w+ failed: (.*)/, "it trapped", undefined],
  [/Failed to configure base Wasm plugin/, "it refused its configuration", undefined],
];

/**
 * What made Envoy refuse its configuration or exit, from its log: in our words where the message is known, else in
 * Envoy's own.
 *
 * @param modules that the configuration names: where one of them trapped is told by its source
 */
export function explainLog(log: string, modules: readonly Symbolizer[] = []): Finding {
  const lines = log.split("\n").map((line) => LINE.exec(line)).filter((match) => match !== null);
  const critical = log.split(/^(?=\[\d{4}-)/m).filter((entry) => /^\[[^\]]*\]\[\d+\]\[critical\]\[main\]/.test(entry)).at(-1);
  const message = (critical ?? log.trim().split("\n").at(-1) ?? "")
    .replace(/^(\[[^\]]*\])+ (\[[^\]]*\] )?/, "")
    .replace(DEBUG_MARK, "")
    .replace(/^error initializing configuration '[^']*': /, "")
    .replace(/^error `(.*)` initializing config[\s\S]*$/, "$1")
    .trim();

  const wasm = /Unable to create Wasm (?:plugin|service) (\S*)/.exec(message);
  if (wasm) return explainWasm(wasm[1]!, lines.filter((match) => match[2] === "wasm").map((match) => match[3]!), modules.map((module) => lastTrap(log, module)).find((trap) => trap !== undefined));
  for (const { pattern, code, message: say, fix } of TRANSLATIONS) {
    const match = pattern.exec(message);
    if (match) return { code, severity: "error", message: say(match), found: shorten(message), fix };
  }
  return { code: "envoy-config-refused", severity: "error", message: "Envoy refuses the configuration", found: shorten(message) || "nothing in its log" };
}

/** A plugin that doesn't load: its own last word is the best explanation there is. */
function explainWasm(plugin: string, lines: string[], trap?: string): Finding {
  const own = lines.map((line) => /^wasm log[^:]*: (.*)$/.exec(line)?.[1]).filter((line) => line !== undefined).at(-1);
  if (trap !== undefined) return { code: "envoy-wasm-refused", severity: "error", message: `plugin ${plugin} doesn't load: it trapped`, found: [...(own === undefined ? [] : [own]), ...trap.split("\n")].join("\n    ") };
  for (const [pattern, message, fix] of WASM_CAUSES) {
    const match = lines.map((line) => pattern.exec(line)).find((found) => found !== null);
    if (match) return { code: "envoy-wasm-refused", severity: "error", message: `plugin ${plugin} doesn't load: ${message}`, found: own ?? match[0], fix };
  }
  return { code: "envoy-wasm-refused", severity: "error", message: `plugin ${plugin} doesn't load`, found: own ?? lines.at(-1) };
}

const shorten = (text: string): string => (text.length > 400 ? `${text.slice(0, 400)}…` : text);
