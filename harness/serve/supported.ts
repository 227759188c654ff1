/** Whether the host engine can serve a configuration: all of it, or not at all. */
import { Ajv, type ErrorObject } from "ajv";
import { SelvedgeError, type Finding } from "../errors.ts";
import { compileRegex } from "./router/regex.ts";
import { NodeConfig } from "./schema/node.ts";

const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, strictTuples: false });
ajv.addKeyword({ keyword: "expected", schemaType: "string" });
const validate = ajv.compile(NodeConfig);

/** What in this configuration the host engine doesn't do, one finding each; nothing when it serves all of it. */
export function unsupported(config: unknown): Finding[] {
  if (!validate(config)) return relevant(validate.errors ?? []).map(describe);
  return regexes(config, "");
}

/** @throws SelvedgeError `host-engine-unsupported`, all of them */
export function requireSupported(config: unknown): NodeConfig {
  const findings = unsupported(config);
  if (findings.length > 0) throw new SelvedgeError(findings);
  return config as NodeConfig;
}

/** Of a union's members only the one that the value was meant for, by how deep its errors lie, is worth reporting. */
function relevant(errors: ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf");
  const kept = errors.filter((error) => {
    const union = unions.filter((each) => error !== each && error.schemaPath.startsWith(each.schemaPath) && error.instancePath.startsWith(each.instancePath)).at(-1);
    if (union === undefined) return true;
    const depth = (other: ErrorObject): number => other.instancePath.length - union.instancePath.length;
    return depth(error) > "/typed_config/@type".length;
  });
  const explained = (union: ErrorObject): boolean => kept.some((error) => error !== union && error.keyword !== "anyOf" && error.instancePath.length > union.instancePath.length && error.instancePath.startsWith(union.instancePath));
  const left = kept.filter((error) => error.keyword !== "anyOf" || !explained(error));
  const seen = new Set<string>();
  return left.filter(({ instancePath, keyword, params }) => {
    const key = `${instancePath} ${keyword} ${JSON.stringify(params)}`;
    return !seen.has(key) && Boolean(seen.add(key));
  });
}

function describe(error: ErrorObject): Finding {
  const place = error.instancePath === "" ? "the configuration" : error.instancePath.slice(1).replaceAll("~1", "/").replaceAll("~0", "~");
  const params = error.params as Record<string, unknown>;
  const parent = error.parentSchema as { expected?: string; enum?: unknown[]; const?: unknown };
  const finding = (message: string, rest: Partial<Finding>): Finding => ({
    code: "host-engine-unsupported",
    severity: "error",
    message: `the host engine can't serve this configuration: ${message}`,
    fix: "run it with `--engine envoy`",
    ...rest,
  });
  if (error.keyword === "additionalProperties") return finding(`it doesn't know \`${String(params.additionalProperty)}\` in ${place}`, {});
  if (error.keyword === "required") return finding(`${place} lacks \`${String(params.missingProperty)}\``, {});
  const expected = parent.expected ?? (parent.const !== undefined ? JSON.stringify(parent.const) : parent.enum?.join(", ")) ?? error.message;
  return finding(`${place} is something else than it can do`, { found: JSON.stringify(error.data)?.slice(0, 200), expected });
}

/** Patterns of routes are RE2's: those that mean something else in JavaScript, or nothing, are refused. */
function regexes(value: unknown, path: string): Finding[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]): Finding[] => {
    const place = `${path}/${key}`;
    if (key !== "regex" || typeof each !== "string") return regexes(each, place);
    const problem = compileRegex(each).problem;
    return problem === undefined ? [] : [{ code: "host-engine-unsupported", severity: "error", message: `the host engine can't serve this configuration: ${problem}`, found: each, where: { file: place.slice(1) }, fix: "write the pattern otherwise, or run it with `--engine envoy`" }];
  });
}
