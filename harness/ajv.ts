/** Schema checking as everything here does it. */
import { Ajv, type Options, type SchemaObject } from "ajv";

/** All errors, with their values and schemas; knows our annotation `expected`: what to print as such. */
export function schemaChecker(options: Options = {}): Ajv {
  // Its optimizer takes longer than it saves: a document is held against its schema once.
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, ...options, code: { optimize: false } });
  ajv.addKeyword({ keyword: "expected", schemaType: "string" });
  return ajv;
}

/**
 * The same schema with what is in several places of it in `$defs`, so that each is compiled once; for a checker with
 * `inlineRefs: false`. Members of unions stay where they are: a union's errors are told apart by their paths.
 */
export function withSharedParts(schema: SchemaObject): SchemaObject {
  const seen = new Map<string, { name: string; times: number }>();
  const count = (part: SchemaObject): void => {
    const known = seen.get(JSON.stringify(part));
    if (known !== undefined) known.times++;
    else {
      if (part.type === "object") seen.set(JSON.stringify(part), { name: `part${seen.size}`, times: 1 });
      mapParts(part, (inner) => (count(inner), inner));
    }
  };
  count(schema);
  const $defs: Record<string, SchemaObject> = {};
  const share = (part: SchemaObject): SchemaObject => {
    const known = seen.get(JSON.stringify(part));
    if (known === undefined || known.times === 1) return mapParts(part, share);
    $defs[known.name] ??= mapParts(part, share);
    return { $ref: `#/$defs/${known.name}` };
  };
  return { ...share(schema), $defs };
}

/** A schema with another one for each of its fields and items. */
function mapParts(schema: SchemaObject, map: (part: SchemaObject) => SchemaObject): SchemaObject {
  const { properties, items } = schema as { properties?: Record<string, SchemaObject>; items?: SchemaObject };
  return {
    ...schema,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, map(part)])) }),
    ...(items && !Array.isArray(items) && { items: map(items) }),
  };
}
