import { ConstantSchema, Expr_CallSchema, ExprSchema, type Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { create } from "@bufbuild/protobuf";
import { environment, HAS } from "./cel-library.ts";

const TIME_PARTS = ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"];
/** Functions that Envoy has, by numbers of arguments; cel-cpp refuses others before anything is evaluated. */
const FUNCTIONS: ReadonlyMap<string, readonly number[]> = new Map<string, readonly number[]>([
  ...["size", "type", "int", "uint", "double", "string", "bytes", "bool", "dyn", "duration", "timestamp"].map((name) => [name, [1]] as const),
  ...["startsWith", "endsWith", "contains", "matches"].map((name) => [name, [2]] as const),
]);
const METHODS: ReadonlyMap<string, readonly number[]> = new Map<string, readonly number[]>([
  ...["startsWith", "endsWith", "contains", "matches"].map((name) => [name, [1]] as const),
  ["size", [0]],
  ...TIME_PARTS.map((name) => [name, [0, 1]] as const),
]);
/** Operators and what macros expand to. */
const isOperator = (name: string): boolean => /^(?:[!-]_|@\w+|_.+[_\]])$/.test(name);
/** What cel-cpp also has as functions of two arguments; the library as methods only. */
const EITHER: ReadonlySet<string> = new Set(["startsWith", "endsWith", "contains", "matches"]);

/** Comments, and string literals with their prefix; group 2 is what is between the quotes. */
const LITERALS = /\/\/[^\n]*|([rRbB]{0,2})(?:"""([^]*?)"""|\'\'\'([^]*?)\'\'\'|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')/g;
const BAD_ESCAPE = /\\(?![abfnrtv\\?"'`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})./s;

/** The library reads an escape that CEL does not have as itself; cel-cpp refuses it. @throws Error */
export function refuseUnknownEscapes(source: string): void {
  for (const [, prefix = "", ...bodies] of source.matchAll(LITERALS)) {
    if (/r/i.test(prefix)) continue;
    // Taken in pairs, so that the second of two backslashes begins nothing.
    const bytes = /b/i.test(prefix);
    const bad = bodies.map((body) => body?.replaceAll("\\\\", "")).find((body) => body !== undefined && (BAD_ESCAPE.test(body) || (bytes && /\\[uU]/.test(body))));
    if (bad !== undefined) throw new Error(`unknown escape in ${bad}`);
  }
}

/** @throws Error where parentheses or brackets nest deeper than cel-cpp's parser goes; the library's would overflow */
export function refuseDeepNesting(source: string): void {
  let depth = 0;
  for (const [bracket] of source.replace(LITERALS, "").matchAll(/[([{}\])]/g)) {
    depth += "([{".includes(bracket) ? 1 : -1;
    if (depth > MAX_DEPTH) throw new Error(`it nests more than ${MAX_DEPTH} levels deep`);
  }
}

/** How deep cel-cpp's parser lets expressions and parentheses nest. */
const MAX_DEPTH = 32;
/** Chains of these are one level. */
const FLAT: ReadonlySet<string> = new Set(["_&&_", "_||_", "!_", "-_"]);

/** Collects the names that an expression reads; gives what of it Envoy does not know, or undefined. */
export function check(expr: Expr | undefined, names: Set<string>, level = 1): string | undefined {
  if (level > MAX_DEPTH) return `it nests more than ${MAX_DEPTH} levels deep`;
  const each = (parts: readonly (Expr | undefined)[]): string | undefined => {
    for (const part of parts) {
      const unknown = check(part, names, level + 1);
      if (unknown !== undefined) return unknown;
    }
    return undefined;
  };
  const kind = expr?.exprKind;
  switch (kind?.case) {
    case "identExpr":
      names.add(kind.value.name.replace(/^\./, ""));
      return undefined;
    case "selectExpr": {
      const { operand, field, testOnly } = kind.value;
      const unknown = check(operand, names, level + 1);
      if (testOnly) expr!.exprKind = { case: "callExpr", value: create(Expr_CallSchema, { function: HAS, args: [operand!, create(ExprSchema, { id: -1n, exprKind: { case: "constExpr", value: create(ConstantSchema, { constantKind: { case: "stringValue", value: field } }) } })] }) };
      return unknown;
    }
    case "constExpr": {
      const { constantKind: constant } = kind.value;
      if (constant.case === "int64Value" && BigInt.asIntN(64, constant.value) !== constant.value) return "an int that needs more than 64 bits";
      if (constant.case === "uint64Value" && BigInt.asUintN(64, constant.value) !== constant.value) return "a uint that needs more than 64 bits";
      return undefined;
    }
    case "listExpr":
      return each(kind.value.elements);
    case "structExpr":
      if (kind.value.messageName !== "") {
        const message = environment.registry.getMessage(kind.value.messageName.replace(/^\./, ""));
        if (message === undefined) return `there is no message ${kind.value.messageName}`;
        for (const { keyKind } of kind.value.entries) if (keyKind.case === "fieldKey" && !message.fields.some(({ name }) => name === keyKind.value)) return `${message.typeName} has no field ${keyKind.value}`;
      }
      return each(kind.value.entries.flatMap((entry) => [entry.keyKind.case === "mapKey" ? entry.keyKind.value : undefined, entry.value]));
    case "comprehensionExpr": {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      return each([iterRange, accuInit, loopCondition, loopStep, result]);
    }
    case "callExpr": {
      const { function: name, target, args } = kind.value;
      const known = isOperator(name) ? undefined : (target === undefined ? FUNCTIONS : METHODS).get(name);
      if (!isOperator(name) && !known?.includes(args.length)) return `no overload of ${name} takes ${args.length} arguments`;
      if (EITHER.has(name) && target === undefined) kind.value.target = args.shift();
      const within = [kind.value.target, ...args];
      for (const part of within) {
        const flat = FLAT.has(name) && part?.exprKind.case === "callExpr" && part.exprKind.value.function === name;
        const unknown = check(part, names, flat ? level : level + 1);
        if (unknown !== undefined) return unknown;
      }
      return undefined;
    }
    default:
      return undefined;
  }
}
