/**
 * A part of CEL, the expression language behind `expr_create`: selection, indexing, comparison, `?:`, `&&`, `||`, `!`, lists,
 * `type()`, and the macros `all`, `exists` and `filter`. Anything else is refused when the expression is compiled,
 * where Envoy would take it: said aloud instead of answered wrongly.
 * https://github.com/google/cel-spec/blob/master/doc/langdef.md
 */
import { toByteString } from "./bytes.ts";
import { boolOf, doubleOf, intOf, stringOf, type Value } from "./values.ts";

/** Looks up a variable; undefined: there is none. */
export type Scope = (name: string) => Value | undefined;
/** Evaluates; undefined is CEL's error, which swallows whatever it becomes part of. */
export type Compiled = (scope: Scope) => Value | undefined;

/** Undefined where the text is no expression, or one with something that this evaluator doesn't have. */
export function compileCel(text: string): Compiled | undefined {
  try {
    const parser = new Parser(tokens(text));
    const compiled = parser.ternary();
    return parser.done ? compiled : undefined;
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

class Refused extends Error {}

interface Token {
  kind: "name" | "number" | "string" | "sign" | "end";
  text: string;
}

const TOKEN = /\s*(?:([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|("(?:[^"\\\n]|\\["\\])*"|'(?:[^'\\\n]|\\['\\])*')|(==|!=|&&|\|\||[?:!.,()[\]]))/y;

function tokens(text: string): Token[] {
  const all: Token[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== "") {
    const match = TOKEN.exec(text);
    if (!match) throw new Refused();
    const [, name, number, quoted, sign] = match;
    if (name !== undefined) all.push({ kind: "name", text: name });
    else if (number !== undefined) all.push({ kind: "number", text: number });
    else if (quoted !== undefined) all.push({ kind: "string", text: quoted.slice(1, -1).replace(/\\(.)/g, "$1") });
    else all.push({ kind: "sign", text: sign! });
  }
  return [...all, { kind: "end", text: "" }];
}

const truth = (value: Value | undefined): boolean | undefined => (value?.kind === "bool" ? value.value : undefined);
const bool = (value: boolean | undefined): Value | undefined => (value === undefined ? undefined : boolOf(value));

class Parser {
  #at = 0;
  readonly #tokens: Token[];

  constructor(list: Token[]) {
    this.#tokens = list;
  }

  get done(): boolean {
    return this.#token.kind === "end";
  }

  get #token(): Token {
    return this.#tokens[this.#at]!;
  }

  #take(text: string): boolean {
    if (this.#token.kind !== "sign" || this.#token.text !== text) return false;
    this.#at++;
    return true;
  }

  #need(text: string): void {
    if (!this.#take(text)) throw new Refused();
  }

  ternary(): Compiled {
    const condition = this.#either();
    if (!this.#take("?")) return condition;
    const yes = this.#either(); // the grammar has no conditional in the middle
    this.#need(":");
    const no = this.ternary();
    return (scope) => {
      const chosen = truth(condition(scope));
      return chosen === undefined ? undefined : chosen ? yes(scope) : no(scope);
    };
  }

  /** `false && error` is false, and `true || error` true, in either order. */
  #either(): Compiled {
    let left = this.#both();
    while (this.#take("||")) left = logical(left, this.#both(), true);
    return left;
  }

  #both(): Compiled {
    let left = this.#equality();
    while (this.#take("&&")) left = logical(left, this.#equality(), false);
    return left;
  }

  #equality(): Compiled {
    const left = this.#unary();
    const same = this.#take("==");
    if (!same && !this.#take("!=")) return left;
    const right = this.#unary();
    return (scope) => {
      const equal = equals(left(scope), right(scope));
      return bool(equal === undefined ? undefined : equal === same);
    };
  }

  #unary(): Compiled {
    if (!this.#take("!")) return this.#member();
    const operand = this.#unary();
    return (scope) => {
      const value = truth(operand(scope));
      return bool(value === undefined ? undefined : !value);
    };
  }

  #member(): Compiled {
    let value = this.#primary();
    for (;;) {
      if (this.#take(".")) value = this.#selection(value);
      else if (this.#take("[")) {
        value = index(value, this.ternary());
        this.#need("]");
      } else return value;
    }
  }

  #selection(base: Compiled): Compiled {
    const name = this.#name();
    if (!this.#take("(")) return index(base, () => stringOf(toByteString(name)));
    const variable = this.#name();
    this.#need(",");
    const body = this.ternary();
    this.#need(")");
    return macro(name, base, variable, body);
  }

  #name(): string {
    const { kind, text } = this.#token;
    if (kind !== "name") throw new Refused();
    this.#at++;
    return text;
  }

  #primary(): Compiled {
    if (this.#take("(")) {
      const inner = this.ternary();
      this.#need(")");
      return inner;
    }
    if (this.#take("[")) {
      const items: Compiled[] = [];
      while (!this.#take("]")) {
        if (items.length > 0) this.#need(",");
        items.push(this.ternary());
      }
      return (scope) => listOf(items.map((item) => item(scope)));
    }
    const { kind, text } = this.#token;
    this.#at++;
    if (kind === "string") return () => stringOf(toByteString(text));
    if (kind === "number") return () => (text.includes(".") ? doubleOf(Number(text)) : intOf(BigInt(text)));
    if (kind !== "name") throw new Refused();
    if (text === "true" || text === "false") return () => boolOf(text === "true");
    if (text === "null") return () => ({ kind: "null" });
    if (!this.#take("(")) return (scope) => scope(text) ?? typeName(text);
    const argument = this.ternary();
    this.#need(")");
    return call(text, argument);
  }
}

function logical(left: Compiled, right: Compiled, decisive: boolean): Compiled {
  return (scope) => {
    const first = truth(left(scope));
    if (first === decisive) return boolOf(decisive);
    const second = truth(right(scope));
    if (second === decisive) return boolOf(decisive);
    return first === undefined || second === undefined ? undefined : boolOf(!decisive);
  };
}

/** Types are values of their own: texts that no string can be equal to. */
const TYPES: Partial<Record<Value["kind"], string>> = {
  string: "string", bytes: "bytes", int: "int", uint: "uint", double: "double", bool: "bool", null: "null_type", map: "map", list: "list",
};
const type = (name: string): Value => ({ kind: "bytes", bytes: Buffer.from(`type ${name}`) });
const typeName = (name: string): Value | undefined => (Object.values(TYPES).includes(name) ? type(name) : undefined);

function call(name: string, argument: Compiled): Compiled {
  if (name === "type") {
    return (scope) => {
      const kind = argument(scope)?.kind;
      const found = kind && TYPES[kind];
      return found === undefined ? undefined : type(found);
    };
  }
  throw new Refused();
}

function macro(name: string, base: Compiled, variable: string, body: Compiled): Compiled {
  if (name !== "all" && name !== "exists" && name !== "filter") throw new Refused();
  return (scope) => {
    const list = base(scope);
    if (list?.kind !== "list") return undefined;
    const results = list.items.map((item) => truth(body((each) => (each === variable ? item : scope(each)))));
    if (name === "filter") return results.includes(undefined) ? undefined : { kind: "list", items: list.items.filter((_, i) => results[i]) };
    const decisive = name === "exists";
    if (results.includes(decisive)) return boolOf(decisive);
    return results.includes(undefined) ? undefined : boolOf(!decisive);
  };
}

/** A list is indexed by a number, a map and a message by a name. */
function index(base: Compiled, key: Compiled): Compiled {
  return (scope) => {
    const value = base(scope);
    const at = key(scope);
    if (value?.kind === "list") return at?.kind === "int" && at.value >= 0n ? value.items[Number(at.value)] : undefined;
    if (at?.kind !== "string") return undefined;
    const name = Buffer.from(at.text, "latin1").toString();
    return value?.kind === "map" ? value.get(name) : value?.kind === "message" ? value.field(name) : undefined;
  };
}

const listOf = (items: (Value | undefined)[]): Value | undefined => (items.includes(undefined) ? undefined : { kind: "list", items: items as Value[] });

function equals(a: Value | undefined, b: Value | undefined): boolean | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a.kind === "string" && b.kind === "string") return a.text === b.text;
  if (a.kind === "bytes" && b.kind === "bytes") return Buffer.compare(a.bytes, b.bytes) === 0;
  if ((a.kind === "int" || a.kind === "uint" || a.kind === "double") && a.kind === b.kind) return a.value === b.value;
  if (a.kind === "bool" && b.kind === "bool") return a.value === b.value;
  // Of lists, maps and messages nobody asked yet.
  return a.kind === b.kind ? undefined : false;
}
