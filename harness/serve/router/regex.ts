/** RE2 patterns on JavaScript's engine, as far as both mean the same. Pure. */

export type Compiled = { regex: RegExp; problem?: undefined } | { regex?: undefined; problem: string };

/** RE2's white space; JavaScript's has more. */
const SPACE = "\\t\\n\\f\\r ";
const REPETITION = /^\{\d+(,\d*)?\}/;

/**
 * The pattern, unanchored. What only one of the two knows, or what they read differently, is a problem: look-around, back
 * references, inline flags, named groups, POSIX and Unicode classes.
 */
export function compileRegex(pattern: string): Compiled {
  const { source, problem } = translate(pattern);
  if (problem !== undefined) return { problem };
  try {
    return { regex: new RegExp(source, "u") };
  } catch (error) {
    return { problem: `JavaScript can't read this pattern (${(error as Error).message})` };
  }
}

/** Matches the whole text, as Envoy's safe_regex does. @throws Error for a pattern that `compileRegex` refuses */
export function fullMatch(pattern: string): (text: string) => boolean {
  const { regex, problem } = compileRegex(`^(?:${pattern})$`);
  if (problem !== undefined) throw new Error(problem);
  return (text) => regex.test(text);
}

function translate(pattern: string): { source: string; problem?: undefined } | { source?: undefined; problem: string } {
  let source = "";
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!;
    if (char === "\\") {
      const escaped = escape(pattern[++at], inClass);
      if (escaped === undefined) return { problem: `the escape \\${pattern[at] ?? ""} isn't translated to JavaScript` };
      source += escaped;
    } else if (inClass) {
      if (char === "[" && pattern[at + 1] === ":") return { problem: "POSIX classes aren't translated to JavaScript" };
      inClass = char !== "]";
      source += char === "[" ? "\\[" : char;
    } else if (char === "[") {
      inClass = true;
      source += char;
      if (pattern[at + 1] === "^") source += pattern[++at];
      if (pattern[at + 1] === "]") return { problem: "a class that begins with ] isn't translated to JavaScript" };
    } else if (char === "(" && pattern[at + 1] === "?" && pattern[at + 2] !== ":") return { problem: "groups with flags or names aren't translated to JavaScript, look-around isn't RE2" };
    else if (char === ".") source += "[^\\n]";
    else if (char === "{") {
      // Literal in RE2 where it is no repetition, in JavaScript an error.
      const repetition = REPETITION.exec(pattern.slice(at))?.[0];
      source += repetition ?? "\\{";
      at += (repetition?.length ?? 1) - 1;
    } else source += char === "}" || char === "]" ? `\\${char}` : char;
  }
  return { source };
}

function escape(char: string | undefined, inClass: boolean): string | undefined {
  if (char === undefined) return undefined;
  if (char === "s") return inClass ? SPACE : `[${SPACE}]`;
  if (char === "S") return inClass ? undefined : `[^${SPACE}]`;
  if (/[dDwWnrtfv]/.test(char)) return `\\${char}`;
  if (inClass) return /[A-Za-z0-9]/.test(char) ? undefined : literal(char);
  if (char === "b" || char === "B") return `\\${char}`;
  if (char === "A") return "^";
  if (char === "z") return "$";
  return /[A-Za-z0-9]/.test(char) ? undefined : literal(char);
}

function literal(char: string): string {
  return `\\u{${char.codePointAt(0)!.toString(16)}}`;
}
