import type { ArgsDef, CommandDef, ParsedArgs } from "citty";
import type { Finding } from "../errors.ts";

/** What a verb has to say; `main` prints it and makes the exit code of it. */
export interface Outcome {
  /** For a person, on standard output. */
  text?: string;
  /** For `--json`, on standard output, together with the findings. */
  data?: Record<string, unknown>;
  /** Errors make exit code 1. They and warnings go to standard error, or into the JSON. */
  findings?: Finding[];
  /** Fails without a finding: a test that failed, say. */
  failed?: boolean;
  /** The verb has printed everything itself; only the exit code is left to make. */
  printed?: boolean;
}

export interface Context<T extends ArgsDef> {
  args: ParsedArgs<T & typeof commonArgs>;
  /** Arguments that belong to no option, in order. */
  positionals: string[];
  /** Every value of an option that may be given several times. */
  values: (name: string) => string[];
  json: boolean;
  /** Progress, on standard error. */
  progress: (message: string) => void;
}

/** Options that every verb takes. */
export const commonArgs = {
  json: { type: "boolean", description: "Print the result as JSON" },
  help: { type: "boolean", alias: "h", description: "Show this help" },
} as const satisfies ArgsDef;

export interface Verb {
  name: string;
  /** One line, as `selvedge --help` shows it. */
  summary: string;
  args: ArgsDef;
  /** Takes any number of positional arguments; otherwise those that `args` declares. */
  variadic: boolean;
  command: CommandDef;
  run: (context: { args: Record<string, unknown>; positionals: string[]; values: (name: string) => string[]; json: boolean; progress: (message: string) => void }) => Promise<Outcome>;
}

/** Declares a verb; the types of its arguments follow from `args`. */
export function defineVerb<const T extends ArgsDef>(verb: {
  name: string;
  summary: string;
  args: T;
  variadic?: boolean;
  run: (context: Context<T>) => Promise<Outcome>;
}): Verb {
  const args = { ...verb.args, ...commonArgs };
  return {
    name: verb.name,
    summary: verb.summary,
    args,
    variadic: verb.variadic ?? false,
    command: { meta: { name: verb.name, description: verb.summary }, args },
    run: verb.run as unknown as Verb["run"],
  };
}
