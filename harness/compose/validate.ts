/** Holds a document against its kind's schema and says what is wrong in a reader's words. */
import type { ErrorObject, ValidateFunction } from "ajv";
import { schemaChecker } from "../ajv.ts";
import { KINDS, type Kind } from "./schema/kinds.ts";
import { nearest } from "./nearest.ts";
import type { Report } from "./report.ts";
import type { Path, Source } from "./source.ts";

const ajv = schemaChecker({ allowUnionTypes: true });
// An annotation of ours: fields that are known but refused.
ajv.addKeyword({ keyword: "unsupported", schemaType: "string", validate: () => false, errors: false });

const compiled = new Map<Kind, ValidateFunction>();

/** Reports every schema violation; true when there is none. */
export function validateSchema(kind: Kind, value: unknown, source: Source, report: Report): boolean {
  let validate = compiled.get(kind);
  if (!validate) {
    validate = ajv.compile(KINDS[kind].schema);
    compiled.set(kind, validate);
  }
  if (validate(value)) return true;
  for (const error of relevant(validate.errors ?? [])) describe(kind, error, source, report);
  return false;
}

/** A union reports itself and each of its members: only the union is news. */
function relevant(errors: ErrorObject[]): ErrorObject[] {
  const unions = new Set(errors.filter((error) => error.keyword === "anyOf").map((error) => error.instancePath));
  return errors.filter((error) => !(unions.has(error.instancePath) && error.keyword !== "anyOf"));
}

function describe(kind: Kind, error: ErrorObject, source: Source, report: Report): void {
  const path = toPath(error.instancePath);
  const field = path.length === 0 ? "the document" : `\`${showPath(path)}\``;
  const parent = error.parentSchema as Record<string, unknown> | undefined;
  const expected = parent?.expected as string | undefined;
  switch (error.keyword) {
    case "additionalProperties": {
      const name = String(error.params.additionalProperty);
      const known = Object.keys((parent?.properties as object | undefined) ?? {}).filter((key) => !refused(parent, key));
      const close = nearest(name, known);
      report.error("unknown-field", source, [...path, name], `unknown field \`${name}\` in ${place(kind, path)}`, {
        part: "key",
        expected: known.length > 0 ? `one of ${known.join(", ")}` : "no field",
        fix: close ? `did you mean \`${close}\`?` : "remove it: a policy is applied entirely or not at all",
      });
      return;
    }
    case "required": {
      const name = String(error.params.missingProperty);
      report.error("missing-field", source, path, `${place(kind, path)} lacks the field \`${name}\``, { part: "key" });
      return;
    }
    case "unsupported":
      report.error("unsupported-field", source, path, `${field} is not supported: ${String(error.schema)}`, {
        part: "key",
        fix: "remove it: what Selvedge doesn't implement it refuses, so that no policy is applied in part",
      });
      return;
    case "type":
      report.error("wrong-type", source, path, `${field} has the wrong type`, {
        found: show(error.data),
        expected: expected ?? article(error.params.type as string),
        ...(error.params.type === "string" && isPlain(error.data) ? { fix: `put quotes around it: "${String(error.data)}"` } : {}),
      });
      return;
    case "anyOf": {
      const values = literals(error.parentSchema);
      const close = typeof error.data === "string" ? nearest(error.data, values) : undefined;
      report.error("wrong-value", source, path, `${field} has a value that is not allowed`, {
        found: show(error.data),
        expected: expected ?? `one of ${values.join(", ")}`,
        ...(close ? { fix: `did you mean ${close}?` } : {}),
      });
      return;
    }
    default:
      report.error("wrong-value", source, path, `${field} has a value that is not allowed`, {
        found: show(error.data),
        expected: expected ?? limit(error),
      });
  }
}

function refused(parent: Record<string, unknown> | undefined, key: string): boolean {
  return "unsupported" in ((parent?.properties as Record<string, object>)[key] ?? {});
}

function literals(schema: unknown): string[] {
  const anyOf = (schema as { anyOf?: { const?: unknown }[] } | undefined)?.anyOf ?? [];
  return anyOf.map((member) => String(member.const));
}

function limit(error: ErrorObject): string {
  const value = String((error.params as { limit?: unknown }).limit ?? "");
  switch (error.keyword) {
    case "minItems":
      return `at least ${value} ${value === "1" ? "item" : "items"}`;
    case "maxItems":
      return `at most ${value} items`;
    case "minLength":
      return value === "1" ? "a value that isn't empty" : `at least ${value} characters`;
    case "maxLength":
      return `at most ${value} characters`;
    case "minimum":
      return `${value} or more`;
    case "maximum":
      return `${value} or less`;
    case "const":
      return JSON.stringify((error.params as { allowedValue: unknown }).allowedValue);
    default:
      return error.message ?? error.keyword;
  }
}

function isPlain(value: unknown): boolean {
  return typeof value === "number" || typeof value === "boolean";
}

function article(type: string): string {
  return type === "array" ? "a list" : type === "integer" ? "a whole number" : type === "object" ? "a mapping" : `a ${type}`;
}

/** A value as a message shows it, with its type where that is the point, and never at length. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "nothing (null)";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty mapping" : "a mapping";
  const text = JSON.stringify(value);
  const short = text.length > 80 ? `${text.slice(0, 77)}…` : text;
  return typeof value === "string" ? short : `the ${typeof value} ${short}`;
}

function place(kind: Kind, path: Path): string {
  return path.length === 0 ? `this ${kind}` : `\`${showPath(path)}\``;
}

/** `spec.rules[0].from[1]`. */
export function showPath(path: Path): string {
  return path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");
}

/** ajv's JSON pointer as steps; numeric steps are list indexes (no schema here has numeric field names but labels). */
function toPath(pointer: string): Path {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((step) => (/^(0|[1-9]\d*)$/.test(step) ? Number(step) : step));
}
