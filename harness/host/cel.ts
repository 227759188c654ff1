import { isCelError, parse, plan, type CelInput, type CelValue } from "@bufbuild/cel";
import { rootAttribute } from "./attributes.ts";
import { check, refuseDeepNesting, refuseUnknownEscapes } from "./cel-check.ts";
import { environment } from "./cel-library.ts";
import { fromCel, toCel } from "./cel-values.ts";
import { Status, type StatusCode } from "./types.ts";
import { serialize } from "./values.ts";
import type { Vm } from "./vm.ts";

/**
 * The foreign functions `expr_create`, `expr_evaluate` and `expr_delete`: CEL over Envoy's attributes. Expressions belong
 * to a VM and are evaluated in whatever context asks. Source: Envoy `source/extensions/common/wasm/foreign.cc`, and
 * cel-cpp with the functions that Envoy registers; compared in test/conformance/expressions.ts.
 */
type Program = (bindings: Record<string, CelInput>) => CelValue | Error;

/** The expressions of one VM. */
export class Expressions {
  private readonly programs = new Map<number, { evaluate: Program; names: ReadonlySet<string> }>();
  private next = 0;

  /** The token of a new expression as bytes, or why there is none. */
  create(vm: Vm, text: Uint8Array): Uint8Array | StatusCode {
    const source = Buffer.from(text).toString("utf8");
    const complain = (what: string, why: string) => vm.host.log("info", `expr_create ${what} error: ${why}`, vm.current?.plugin, vm.thread.name, "host");
    let parsed: ReturnType<typeof parse>;
    try {
      refuseUnknownEscapes(source);
      refuseDeepNesting(source);
      parsed = parse(`${source}\n`); // a comment at the end wants its line's end
    } catch (error) {
      complain("parse", (error as Error).message);
      return Status.BadArgument;
    }
    const token = this.next++;
    const names = new Set<string>();
    const unknown = check(parsed.expr, names);
    if (unknown !== undefined) {
      complain("compile", unknown);
      return Status.BadArgument;
    }
    try {
      this.programs.set(token, { evaluate: plan(environment, parsed) as Program, names });
    } catch (error) {
      complain("compile", (error as Error).message);
      return Status.BadArgument;
    }
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(token);
    return bytes;
  }

  evaluate(vm: Vm, argument: Uint8Array): Uint8Array | StatusCode {
    const token = readToken(argument);
    if (token === undefined) return Status.BadArgument;
    const program = this.programs.get(token);
    if (program === undefined) return Status.NotFound;
    const bindings: Record<string, CelInput> = {};
    for (const name of program.names) {
      const value = rootAttribute(vm.context, name);
      if (value !== undefined) bindings[name] = toCel(value);
    }
    let result: unknown;
    try {
      result = program.evaluate(bindings);
    } catch {
      return Status.InternalFailure;
    }
    if (isCelError(result)) return Status.InternalFailure;
    const value = fromCel(result as CelValue);
    const data = value && serialize(value);
    if (data === undefined) return Status.SerializationFailure;
    return typeof data === "string" ? Buffer.from(data, "latin1") : data;
  }

  delete(argument: Uint8Array): StatusCode {
    const token = readToken(argument);
    if (token === undefined) return Status.BadArgument;
    this.programs.delete(token);
    return Status.Ok;
  }
}

const readToken = (argument: Uint8Array): number | undefined => (argument.length === 4 ? Buffer.from(argument).readUInt32LE(0) : undefined);

const perVm = new WeakMap<Vm, Expressions>();

/** The expressions of a VM, made when it has its first. */
export function expressionsOf(vm: Vm): Expressions {
  let expressions = perVm.get(vm);
  if (expressions === undefined) perVm.set(vm, (expressions = new Expressions()));
  return expressions;
}
