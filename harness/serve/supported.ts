/** Whether the host engine can serve a configuration: all of it, or not at all. */
import type { ErrorObject } from "ajv";
import { schemaChecker } from "../ajv.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import { compileRegex } from "./router/regex.ts";
import { NodeConfig } from "./schema/node.ts";

const validate = schemaChecker({ strictTuples: false }).compile(NodeConfig);

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

/** Of a union's members only the one that the value was meant for is worth a word; where none stands out, the union itself. */
function relevant(errors: ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf").sort((a, b) => a.instancePath.length - b.instancePath.length);
  let left = errors;
  for (const union of unions) {
    if (!left.includes(union)) continue;
    const inside = left.filter((error) => error.schemaPath.startsWith(`${union.schemaPath}/`) && `${error.instancePath}/`.startsWith(`${union.instancePath}/`));
    const members = new Map<string, ErrorObject[]>();
    for (const error of inside) {
      const member = error.schemaPath.slice(union.schemaPath.length + 1).split("/")[0]!;
      members.set(member, [...(members.get(member) ?? []), error]);
    }
    const meant = best([...members.values()], union);
    left = left.filter((error) => (meant ? error !== union : true) && (!inside.includes(error) || meant?.includes(error)));
  }
  return left;
}

/** The member with its own name or type; else the one with the fewest errors. */
function best(members: ErrorObject[][], { instancePath }: ErrorObject): ErrorObject[] | undefined {
  const named = members.filter((errors) => !errors.some((error) => error.instancePath === `${instancePath}/name` || error.instancePath === `${instancePath}/typed_config/@type`));
  const candidates = named.length > 0 ? named : [];
  const fewest = Math.min(...candidates.map(({ length }) => length));
  const closest = candidates.filter(({ length }) => length === fewest);
  return closest.length === 1 ? closest[0] : undefined;
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
