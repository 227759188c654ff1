/** Holds a parsed file against the schema and says what is wrong, where, and what was probably meant. */
import { Ajv, type ErrorObject } from "ajv";
import type { TSchema } from "@sinclair/typebox";
import { nearest } from "../compose/nearest.ts";
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { show, showPath } from "../compose/validate.ts";
import { CaseSchema, FileSchema } from "./schema.ts";

const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true });
// An annotation of ours: what to print as "expected".
ajv.addKeyword({ keyword: "expected", schemaType: "string" });

const compile = (schema: TSchema) => ajv.compile(schema);
/** The cases are checked one by one, each row of a table on its own. */
const validateFile = compile({ ...FileSchema, properties: { ...FileSchema.properties, cases: { type: "array", minItems: 1, items: { type: "object" } } } } as unknown as TSchema);
const validateCase = compile(CaseSchema);

/** Everything but the cases. True when there is nothing to report. */
export function checkFile(value: unknown, source: Source, report: Report): boolean {
  if (validateFile(value)) return true;
  describeAll(validateFile.errors ?? [], [], "a file of cases", source, report);
  return false;
}

/** One case, its table's values filled in; `at` is where it stands in the file. */
export function checkCase(value: unknown, at: Path, source: Source, report: Report): boolean {
  if (validateCase(value)) return true;
  describeAll(validateCase.errors ?? [], at, "a case", source, report);
  return false;
}

function describeAll(errors: ErrorObject[], at: Path, whole: string, source: Source, report: Report): void {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf").map(({ instancePath }) => instancePath);
  // A union reports itself and what is wrong with each of its members: only the union is news.
  const inUnion = (path: string): boolean => unions.some((union) => path === union || path.startsWith(`${union}/`));
  for (const error of errors) {
    if (error.keyword !== "anyOf" && inUnion(error.instancePath)) continue;
    if (error.keyword === "anyOf" && unions.some((union) => error.instancePath.startsWith(`${union}/`))) continue;
    describe(error, at, whole, source, report);
  }
}

function describe(error: ErrorObject, at: Path, whole: string, source: Source, report: Report): void {
  const inner = stepsOf(error.instancePath);
  const path = [...at, ...inner];
  const field = inner.length === 0 ? whole : `\`${showPath(inner)}\``;
  const parent = error.parentSchema as { properties?: object; expected?: string; items?: unknown } | undefined;
  if (error.keyword === "additionalProperties") {
    const name = String(error.params.additionalProperty);
    const known = Object.keys(parent?.properties ?? {});
    const close = nearest(name, known);
    report.error("unknown-field", source, [...path, name], `unknown field \`${name}\` in ${field}`, {
      part: "key",
      expected: `one of ${known.join(", ")}`,
      fix: close ? `did you mean \`${close}\`?` : undefined,
    });
  } else if (error.keyword === "required") {
    report.error("missing-field", source, path, `${field} lacks the field \`${String(error.params.missingProperty)}\``, { part: "key" });
  } else {
    const kind = error.keyword === "type" ? "has the wrong type" : "has a value that is not allowed";
    report.error(error.keyword === "type" ? "wrong-type" : "wrong-value", source, path, `${field} ${kind}`, {
      found: show(error.data),
      expected: parent?.expected ?? (error.keyword === "type" ? `a value of type ${String(error.params.type)}` : error.message),
      fix: error.params.type === "string" && ["number", "boolean"].includes(typeof error.data) ? `put quotes around it: "${String(error.data)}"` : undefined,
    });
  }
}

/** ajv's JSON pointer as steps. */
function stepsOf(pointer: string): Path {
  if (pointer === "") return [];
  const decoded = pointer.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return decoded.map((step) => (/^(0|[1-9]\d*)$/.test(step) ? Number(step) : step));
}
