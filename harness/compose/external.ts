/** Checks of documents that compose doesn't use: each against its own schema, with findings in the words of those for other kinds. */
import type { ErrorObject } from "ajv";
import type { TSchema } from "@sinclair/typebox";
import { schemaChecker } from "../ajv.ts";
import type { ExternalCheck } from "./load.ts";
import { nearest } from "./nearest.ts";
import { Report } from "./report.ts";
import type { Path, Source } from "./source.ts";
import { show, showPath } from "./validate.ts";

const ajv = schemaChecker({ allowUnionTypes: true });

/** @param kind as messages name it */
export function checkAgainst(schema: TSchema, kind: string): ExternalCheck {
  const validate = ajv.compile(schema);
  return ({ value, source }) => {
    const report = new Report();
    if (!validate(value)) for (const error of relevant(validate.errors ?? [])) describe(kind, error, source, report);
    return report.findings;
  };
}

/** A union reports itself and each of its members: only the union is news. */
function relevant(errors: ErrorObject[]): ErrorObject[] {
  const unions = new Set(errors.filter(({ keyword }) => keyword === "anyOf").map(({ instancePath }) => instancePath));
  return errors.filter(({ keyword, instancePath }) => keyword === "anyOf" || !unions.has(instancePath));
}

function describe(kind: string, error: ErrorObject, source: Source, report: Report): void {
  const path = toPath(error.instancePath);
  const place = path.length === 0 ? `this ${kind}` : `\`${showPath(path)}\``;
  const parent = error.parentSchema as { properties?: object; expected?: string; anyOf?: { const?: unknown }[] };
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "additionalProperties": {
      const name = String(params.additionalProperty);
      const known = Object.keys(parent.properties ?? {});
      const close = nearest(name, known);
      report.error("unknown-field", source, [...path, name], `unknown field \`${name}\` in ${place}`, {
        part: "key",
        expected: `one of ${known.join(", ")}`,
        fix: close ? `did you mean \`${close}\`?` : "remove it",
      });
      return;
    }
    case "required":
      report.error("missing-field", source, path, `${place} lacks the field \`${String(params.missingProperty)}\``, { part: "key" });
      return;
    case "type":
      report.error("wrong-type", source, path, `${place} has the wrong type`, { found: show(error.data), expected: parent.expected ?? String(params.type) });
      return;
    default: {
      const values = (parent.anyOf ?? []).map((member) => String(member.const));
      const close = typeof error.data === "string" ? nearest(error.data, values) : undefined;
      report.error("wrong-value", source, path, `${place} has a value that is not allowed`, {
        found: show(error.data),
        expected: parent.expected ?? (values.length > 0 ? `one of ${values.join(", ")}` : error.message),
        ...(close ? { fix: `did you mean ${close}?` } : {}),
      });
    }
  }
}

/** ajv's JSON pointer as steps. */
function toPath(pointer: string): Path {
  const steps = pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.map((step) => (/^(0|[1-9]\d*)$/.test(step) ? Number(step) : step));
}
