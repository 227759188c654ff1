import { celEnv, celFunc, CelScalar, isCelMap, objectType, type CelValue } from "@bufbuild/cel";
import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { originOf } from "./cel-values.ts";

/** What has(a.b) becomes: cel-cpp's answers differ from the library's for what is not there at all. */
export const HAS = "@has";

/** Where the library differs from cel-cpp as Envoy 1.40 has it. */
export const environment: ReturnType<typeof celEnv> = celEnv({
  funcs: [
    celFunc(HAS, [CelScalar.DYN, CelScalar.STRING], CelScalar.BOOL, hasField),
    celFunc("string", [CelScalar.DOUBLE], CelScalar.STRING, doubleText),
    celFunc("double", [CelScalar.STRING], CelScalar.DOUBLE, (text) => numberOf(text, /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf(?:inity)?|nan)$/i, (plain) => (/n/i.test(plain) ? (/nan/i.test(plain) ? NaN : plain.startsWith("-") ? -Infinity : Infinity) : Number(plain)))),
    celFunc("int", [CelScalar.STRING], CelScalar.INT, (text) => numberOf(text, /^[+-]?\d+$/, (plain) => inRange(BigInt(plain), BigInt.asIntN(64, BigInt(plain))))),
    celFunc("int", [CelScalar.BOOL], CelScalar.INT, (value) => (value ? 1n : 0n)),
    celFunc("timestamp", [CelScalar.INT], objectType(TimestampSchema), (seconds) => create(TimestampSchema, { seconds })),
    ...(["<", "<=", ">", ">="] as const).map((operator) => celFunc(`_${operator}_`, [CelScalar.STRING, CelScalar.STRING], CelScalar.BOOL, (left, right) => compare(operator, Buffer.compare(Buffer.from(left), Buffer.from(right))))),
  ],
});

function hasField(value: CelValue, name: string): boolean {
  if (!isCelMap(value)) throw new Error(`has() needs a map or a message`);
  const origin = originOf(value);
  if (origin === undefined) return [...value.keys()].includes(name);
  if (origin.kind !== "message") return value.has(name);
  const field = origin.field(name);
  if (field === undefined) throw new Error(`no such field: ${name}`);
  return field.kind === "string" ? field.text !== "" : field.kind !== "map" || (field.entries?.() ?? []).length > 0;
}

/** A double as `%g` with the shortest digits that read back the same. */
function doubleText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

function numberOf<T>(text: string, form: RegExp, read: (plain: string) => T): T {
  const plain = text.trim();
  if (!form.test(plain)) throw new Error(`${text} is not a number`);
  return read(plain.replace(/^\+/, ""));
}

function inRange(exact: bigint, wrapped: bigint): bigint {
  if (exact !== wrapped) throw new Error("out of range");
  return exact;
}

const compare = (operator: "<" | "<=" | ">" | ">=", order: number): boolean => (operator === "<" ? order < 0 : operator === "<=" ? order <= 0 : operator === ">" ? order > 0 : order >= 0);
