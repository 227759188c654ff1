import { parseArgs as parseWithCitty, type ArgsDef } from "citty";
import { nearest } from "../compose/nearest.ts";
import { UsageError } from "../errors.ts";
import type { Verb } from "./verb.ts";

export interface ParsedArguments {
  args: Record<string, unknown>;
  positionals: string[];
  /** Every value of an option that is given several times, in order; citty keeps the last. */
  values: (name: string) => string[];
}

/**
 * Parses a verb's arguments. citty takes any option in silence, so what it would swallow is refused here first: unknown
 * options, options without their value, surplus arguments.
 *
 * @throws UsageError with the nearest valid name
 */
export function parseArguments(verb: Verb, rawArgs: string[]): ParsedArguments {
  checkOptions(verb, rawArgs);
  let args: Record<string, unknown> & { _: string[] };
  try {
    args = parseWithCitty(rawArgs, verb.args) as unknown as typeof args;
  } catch (error) {
    throw new UsageError(plain((error as Error).message));
  }
  const declared = Object.values(verb.args).filter((arg) => arg.type === "positional").length;
  if (!verb.variadic && args._.length > declared) throw new UsageError(`\`selvedge ${verb.name}\` takes ${declared === 0 ? "no arguments" : declared === 1 ? "one argument" : `${declared} arguments`}; one too many: ${args._[declared]}`);
  return { args, positionals: args._, values: (name) => valuesOf(`--${name}`, rawArgs) };
}

function valuesOf(option: string, rawArgs: string[]): string[] {
  const end = rawArgs.indexOf("--");
  return (end < 0 ? rawArgs : rawArgs.slice(0, end)).flatMap((raw, index, all) => {
    if (raw === option) return all[index + 1] ?? [];
    return raw.startsWith(`${option}=`) ? raw.slice(option.length + 1) : [];
  });
}

function checkOptions(verb: Verb, rawArgs: string[]): void {
  const options = optionNames(verb.args);
  for (let index = 0; index < rawArgs.length; index++) {
    const raw = rawArgs[index]!;
    if (raw === "--") return;
    if (!raw.startsWith("-") || raw === "-") continue;
    const [flag = "", value] = raw.split("=", 2);
    const kind = options.get(flag) ?? (flag.startsWith("--no-") && options.get(`--${flag.slice(5)}`) === "boolean" ? "boolean" : undefined);
    if (kind === undefined) {
      const close = nearest(flag, [...options.keys()].filter((name) => name.startsWith("--")));
      throw new UsageError(`\`selvedge ${verb.name}\` has no option ${flag}${close === undefined ? "" : `; did you mean ${close}?`}`);
    }
    if (kind === "boolean" || value !== undefined) continue;
    const next = rawArgs[++index];
    if (next === undefined || (next.startsWith("-") && next !== "-")) throw new UsageError(`${flag} needs a value`);
  }
}

/** Every way to write an option, and whether it takes a value. */
function optionNames(args: ArgsDef): Map<string, "boolean" | "value"> {
  const names = new Map<string, "boolean" | "value">();
  for (const [name, arg] of Object.entries(args)) {
    if (arg.type === "positional") continue;
    const kind = arg.type === "boolean" || arg.type === undefined ? "boolean" : "value";
    names.set(`--${name}`, kind);
    for (const alias of ["alias" in arg && arg.alias !== undefined ? arg.alias : []].flat()) names.set(alias.length === 1 ? `-${alias}` : `--${alias}`, kind);
  }
  return names;
}

/** Without the terminal's colour codes, which citty puts into its messages. */
const plain = (text: string): string => text.replace(/\u001b\[\d+m/g, "");
