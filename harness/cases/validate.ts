/** Holds a parsed file against the schema and says what is wrong, where, and what was probably meant. */
import type { ErrorObject } from "ajv";
import { schemaChecker, withSharedParts } from "../ajv.ts";
import { nearest } from "../compose/nearest.ts";
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { show, showPath } from "../compose/validate.ts";
import { CaseSchema, FileSchema } from "./schema.ts";

const ajv = schemaChecker({ allowUnionTypes: true, inlineRefs: false });
/** The cases are checked one by one, each row of a table on its own. */
const validateFile = ajv.compile({ ...FileSchema, properties: { ...FileSchema.properties, cases: { type: "array", minItems: 1, items: { type: "object" } } } });
const validateCase = ajv.compile(withSharedParts(CaseSchema));

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
  const all = relevant(errors);
  for (const error of all) {
    // A misspelt field isn't missing as well.
    const misspelt = error.keyword === "required" && all.some((other) => other.instancePath === error.instancePath && suggestion(other) === error.params.missingProperty);
    if (!misspelt) describe(error, at, whole, source, report);
  }
}

/**
 * A union reports itself and what is wrong with each of its members. Where the value has the type of just one member, such
 * as a mapping where a text would do as well, what is wrong in there is news; else the union is.
 */
function relevant(errors: readonly ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf").sort((a, b) => a.schemaPath.length - b.schemaPath.length || a.instancePath.length - b.instancePath.length);
  const outermost = unions.find((union) => !unions.some((other) => other !== union && inside(union, other)));
  if (!outermost) return [...errors];
  const inner = errors.filter((error) => error !== outermost && inside(error, outermost));
  const rest = errors.filter((error) => error !== outermost && !inside(error, outermost));
  const members = new Map<string, ErrorObject[]>();
  for (const error of inner) {
    const member = memberOf(error, outermost);
    members.set(member, [...(members.get(member) ?? []), error]);
  }
  const meant = [...members.values()].filter((all) => !all.some(({ keyword, instancePath }) => instancePath === outermost.instancePath && (keyword === "type" || keyword === "const")));
  const [only] = meant.length === 1 ? meant : meant.filter((all) => all.some((error) => error.instancePath === outermost.instancePath && suggestion(error) !== undefined));
  return [...(only ? relevant(only) : [outermost]), ...relevant(rest)];
}

/** The field that was probably meant by one that is unknown. */
function suggestion({ keyword, params, parentSchema }: ErrorObject): string | undefined {
  if (keyword !== "additionalProperties") return undefined;
  return nearest(String(params.additionalProperty), Object.keys((parentSchema as { properties?: object }).properties ?? {}));
}

const inside = (error: ErrorObject, union: ErrorObject): boolean =>
  error.schemaPath.startsWith(`${union.schemaPath}/`) && (error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`));

/** Which of the union's members an error belongs to: the number behind the union in its path. */
const memberOf = (error: ErrorObject, union: ErrorObject): string => error.schemaPath.slice(union.schemaPath.length + 1).split("/")[0]!;

function describe(error: ErrorObject, at: Path, whole: string, source: Source, report: Report): void {
  const inner = stepsOf(error.instancePath);
  const path = [...at, ...inner];
  const field = inner.length === 0 ? whole : `\`${showPath(inner)}\``;
  const parent = error.parentSchema as { properties?: object; expected?: string; items?: unknown } | undefined;
  if (error.keyword === "additionalProperties") {
    const name = String(error.params.additionalProperty);
    const known = Object.keys(parent?.properties ?? {});
    const close = suggestion(error);
    report.error("unknown-field", source, [...path, name], `unknown field \`${name}\` in ${field}`, {
      part: "key",
      expected: `one of ${known.join(", ")}`,
      fix: close ? `did you mean \`${close}\`?` : undefined,
    });
  } else if (error.keyword === "required") {
    report.error("missing-field", source, path, `${field} lacks the field \`${String(error.params.missingProperty)}\``, { part: "key" });
  } else {
    const words = (parent as { anyOf?: { const?: unknown }[] } | undefined)?.anyOf?.flatMap(({ const: word }) => (typeof word === "string" ? [word] : [])) ?? [];
    const word = typeof error.data === "string" ? nearest(error.data, words) : undefined;
    const kind = error.keyword === "type" ? "has the wrong type" : "has a value that is not allowed";
    report.error(error.keyword === "type" ? "wrong-type" : "wrong-value", source, path, `${field} ${kind}`, {
      found: show(error.data),
      expected: parent?.expected ?? (error.keyword === "type" ? `a value of type ${String(error.params.type)}` : error.message),
      fix: word !== undefined ? `did you mean \`${word}\`?` : takesText(error) && ["number", "boolean"].includes(typeof error.data) ? `put quotes around it: "${String(error.data)}"` : undefined,
    });
  }
}

/** Whether a text would do: YAML reads many as something else. */
function takesText({ keyword, params, parentSchema }: ErrorObject): boolean {
  return keyword === "type" ? params.type === "string" : ((parentSchema as { anyOf?: { type?: string }[] }).anyOf ?? []).some(({ type }) => type === "string");
}

/** ajv's JSON pointer as steps. */
function stepsOf(pointer: string): Path {
  if (pointer === "") return [];
  const decoded = pointer.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return decoded.map((step) => (/^(0|[1-9]\d*)$/.test(step) ? Number(step) : step));
}
