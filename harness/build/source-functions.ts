/** Finds the functions of an AssemblyScript source by its brackets: enough for names and extents, without a compiler. Pure. */

export interface SourceFunction {
  /** `name`, `Class#method`, `Class.static`, `get:` and `set:` before an accessor's; `(anonymous)`. */
  name: string;
  /** Lines of its head and of its closing bracket, from 1. */
  start: number;
  end: number;
  /** Nothing between its brackets. */
  empty: boolean;
}

const WORDS = new Set(["if", "for", "while", "switch", "catch", "with", "return", "do", "else", "try"]);
const HEAD = /(?:^|[\s;}])(?:function\b\s*(?<func>[\w$]+)?|(?<scope>class|namespace|interface|enum)\s+(?<scopeName>[\w$]+)|(?<modifiers>(?:(?:public|private|protected|static|readonly|override|abstract|get|set|async)\s+)*)(?<method>[\w$]+)\s*(?:<[^(){}]*>)?\s*\()/g;

/** Functions with a body, in the order of their starts. An inner one comes after the one around it. */
export function functionsIn(text: string): SourceFunction[] {
  const code = blank(text);
  const functions: SourceFunction[] = [];
  const open: { kind: "class" | "namespace" | "function" | "block"; name: string; found?: SourceFunction }[] = [];
  let line = 1;
  let headStart = 0;
  let headLine = 1;
  let round = 0;
  for (let at = 0; at < code.length; at++) {
    const char = code[at]!;
    if (char === "\n") line++;
    else if (char === "(" || char === "[") round++;
    else if (char === ")" || char === "]") round = Math.max(0, round - 1);
    else if (char === ";" && round === 0) headStart = at + 1;
    else if (char === "{") {
      const scope = headOf(code.slice(headStart, at), open.at(-1));
      if (scope.kind === "function") functions.push((scope.found = { name: scope.name, start: headLine, end: line, empty: /^\{\s*\}/.test(code.slice(at)) }));
      open.push({ ...scope, round } as (typeof open)[number]);
      round = 0;
      headStart = at + 1;
    } else if (char === "}") {
      const closed = open.pop() as ((typeof open)[number] & { round?: number }) | undefined;
      if (closed?.found) closed.found.end = line;
      round = closed?.round ?? 0;
      // Inside of a call's arguments the statement goes on.
      if (round === 0) headStart = at + 1;
    }
    if (code.slice(headStart, at + 1).trim() === "") headLine = line;
  }
  return functions;
}

type Scope = { kind: "class" | "namespace" | "function" | "block"; name: string; found?: SourceFunction };

/** What a bracket opens, from the text between the last statement and it. */
function headOf(head: string, parent: Scope | undefined): Scope {
  const prefix = parent === undefined || parent.kind === "block" || parent.kind === "function" ? "" : parent.name;
  if (/=>\s*$/.test(head)) return { kind: "function", name: "(anonymous)" };
  for (const { groups } of head.matchAll(HEAD)) {
    const { func, scope, scopeName, modifiers = "", method } = groups!;
    if (scope === "class" || scope === "interface") return { kind: "class", name: prefix === "" ? scopeName! : `${prefix}.${scopeName}` };
    if (scope !== undefined) return { kind: "namespace", name: prefix === "" ? scopeName! : `${prefix}.${scopeName}` };
    if (method === undefined) return { kind: "function", name: func === undefined ? "(anonymous)" : prefix === "" ? func : `${prefix}.${func}` };
    if (parent?.kind !== "class" || WORDS.has(method)) continue;
    const accessor = /\b(get|set)\s+$/.exec(modifiers)?.[1];
    return { kind: "function", name: `${prefix}${/\bstatic\b/.test(modifiers) ? "." : "#"}${accessor === undefined ? "" : `${accessor}:`}${method}` };
  }
  return { kind: "block", name: "" };
}

/** The innermost function around a line. */
export function functionAt(functions: readonly SourceFunction[], line: number): SourceFunction | undefined {
  return functions.findLast(({ start, end }) => start <= line && line <= end);
}

/** The same text with comments, strings and decorators blanked, line by line as long as before. */
function blank(text: string): string {
  const parts = /\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|@[\w$]+(?:\([^)]*\))?/g;
  return text.replace(parts, (part) => part.replace(/[^\n]/g, " "));
}
