/** Reads a folder of policy files into checked resources. The only part of compose, with modules and certificates, that reads files. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { LineCounter, parseAllDocuments, type Document } from "yaml";
import type { Finding, Position } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { Report, sortFindings } from "./report.ts";
import { apiVersion, KINDS, type Kind, type Spec, type Value } from "./schema/kinds.ts";
import { Source, type Path } from "./source.ts";
import { show, validateSchema } from "./validate.ts";

/** A resource that its kind's schema accepts, and where each of its fields stands. */
export class Resource<K extends Kind = Kind> {
  readonly kind: K;
  readonly value: Value<K>;
  readonly source: Source;

  constructor(kind: K, value: Value<K>, source: Source) {
    this.kind = kind;
    this.value = value;
    this.source = source;
  }

  get spec(): Spec<K> {
    return (this.value as unknown as { spec: Spec<K> }).spec;
  }
  get name(): string {
    return this.value.metadata.name;
  }
  /** `default` where the file names none, as kubectl would. */
  get namespace(): string {
    return this.value.metadata.namespace ?? "default";
  }
  get labels(): Record<string, string> {
    return this.value.metadata.labels ?? {};
  }
  get annotations(): Record<string, string> {
    return this.value.metadata.annotations ?? {};
  }
  /** `namespace/name`. */
  get id(): string {
    return `${this.namespace}/${this.name}`;
  }
  at(path: Path, part?: "key" | "value"): Position {
    return this.source.at(path, part);
  }
}

/** A document of a kind that another part of Selvedge owns (Scenario, for one). */
export interface ExternalDocument {
  apiVersion: string;
  kind: string;
  value: Record<string, unknown>;
  source: Source;
}

/** Checks a document of a foreign kind; what it returns joins the findings. */
export type ExternalCheck = (document: ExternalDocument) => Finding[];

export interface LoadOptions {
  /** By `apiVersion/kind`, e.g. `selvedge.dev/v1alpha1/Scenario`. Such documents are kept apart and not composed. */
  externalKinds?: Record<string, ExternalCheck>;
}

export interface Policies {
  /** The folder as the caller named it; positions and `selvedge.dev/directory` start from it. */
  dir: string;
  /** What was read. */
  files: string[];
  resources: Resource[];
  external: ExternalDocument[];
  findings: Finding[];
}

/** The resources of one kind, in file order. */
export function ofKind<K extends Kind>(policies: Policies, kind: K): Resource<K>[] {
  return policies.resources.filter((resource) => resource.kind === kind) as unknown as Resource<K>[];
}

/**
 * Reads every `.yaml` and `.yml` file below `dir`, and every `.json` file with an `apiVersion` and a `kind`, or the one file that it names (names that start with a dot are skipped; symbolic links are
 * followed, as a mounted ConfigMap needs). Never throws for what the files hold: trouble comes back as findings.
 */
export function loadPolicies(dir: string, options: LoadOptions = {}): Policies {
  const report = new Report();
  const policies: Policies = { dir, files: [], resources: [], external: [], findings: [] };
  for (const file of listFiles(dir, report)) {
    let text: string;
    try {
      text = decode(readFileSync(file));
    } catch (error) {
      report.add({ code: "file-unreadable", severity: "error", message: `cannot read: ${(error as Error).message}`, where: { file } });
      continue;
    }
    if (file.endsWith(".json") && file !== dir && !isManifest(text)) continue;
    policies.files.push(file);
    readDocuments(file, text, options, policies, report);
  }
  if (policies.files.length === 0 && !report.failed) {
    report.add({
      code: "policies-missing",
      severity: "error",
      message: "no .yaml file in this folder, and no .json file with an apiVersion",
      where: { file: dir },
      fix: "name a folder that holds policy files",
    });
  }
  refuseDuplicates(policies.resources, report);
  policies.findings = sortFindings(report.findings);
  return policies;
}

const isManifest = (json: string): boolean => /"apiVersion"\s*:\s*"/.test(json) && /"kind"\s*:\s*"/.test(json);

/** A byte that isn't UTF-8 would become a character that no request has, and a DENY of it deny nothing. @throws Error */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error("it isn't UTF-8");
  }
}

/** One file's text, parsed and checked: the pure part of `loadPolicies`. */
export function readDocuments(file: string, text: string, options: LoadOptions, into: Policies, report: Report): void {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, stringKeys: true });
  // Without any document the parser returns an empty list that carries its own errors.
  for (const document of Array.isArray(documents) ? documents : []) {
    readDocument(new Source(file, document as Document, lines), document as Document, lines, options, into, report);
  }
}

function readDocument(
  source: Source,
  document: Document,
  lines: LineCounter,
  options: LoadOptions,
  into: Policies,
  report: Report,
): void {
  if (document.errors.length > 0) {
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      const duplicate = error.code === "DUPLICATE_KEY";
      report.add({
        code: duplicate ? "duplicate-key" : "yaml-syntax",
        severity: "error",
        message: duplicate ? "this key stands twice in one mapping" : `not valid YAML: ${error.message}`,
        where: { file: source.file, line: Math.max(line, 1), col: Math.max(col, 1) },
        ...(duplicate ? { fix: "keep one of the two" } : {}),
      });
    }
    return;
  }
  for (const warning of document.warnings) {
    const { line, col } = lines.linePos(warning.pos[0]);
    report.add({ code: "yaml-tag", severity: "error", message: `not understood entirely: ${warning.message}`, where: { file: source.file, line: Math.max(line, 1), col: Math.max(col, 1) }, fix: "write the value without a tag" });
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
    let isText = true;
    JSON.stringify(value, (_, each: unknown) => {
      if (typeof each === "string" && HALF_A_CHARACTER.test(each)) isText = false;
      return each;
    });
    if (!isText) {
      report.error("yaml-text", source, [], "a value of this document has half of a surrogate pair, which is no character: no request could have it", { fix: "write the character, or both halves" });
      return;
    }
  } catch (error) {
    report.error("yaml-alias", source, [], `aliases of this document can't be resolved: ${(error as Error).message}`);
    return;
  }
  if (value === null || value === undefined) return;
  if (typeof value !== "object" || Array.isArray(value)) {
    report.error("not-a-resource", source, [], "this document is no resource", { found: show(value), expected: "apiVersion, kind, metadata, spec" });
    return;
  }
  const fields = value as Record<string, unknown>;
  // The composed configuration may lie beside its policies: an Envoy bootstrap, or what it watches, is recognised and passed over.
  if (!("kind" in fields) && !("apiVersion" in fields) && ["static_resources", "staticResources", "dynamic_resources", "dynamicResources", "resources"].some((field) => field in fields)) return;
  const kind = identify(fields, source, options, into, report);
  if (kind && validateSchema(kind, fields, source, report)) {
    into.resources.push(new Resource(kind, fields as never, source) as unknown as Resource);
  }
}

/** The kind of a document if it is one of ours; reports what is neither ours nor a declared foreign kind. */
function identify(
  fields: Record<string, unknown>,
  source: Source,
  options: LoadOptions,
  into: Policies,
  report: Report,
): Kind | undefined {
  for (const name of ["apiVersion", "kind"] as const) {
    if (typeof fields[name] !== "string" || fields[name] === "") {
      report.error("not-a-resource", source, name in fields ? [name] : [], `this document has no \`${name}\``, {
        ...(name in fields ? { found: show(fields[name]) } : {}),
        expected: "a Kubernetes resource: apiVersion, kind, metadata, spec",
      });
      return undefined;
    }
  }
  const version = fields.apiVersion as string;
  const kind = fields.kind as string;
  const check = options.externalKinds?.[`${version}/${kind}`];
  if (check) {
    const external = { apiVersion: version, kind, value: fields, source };
    into.external.push(external);
    for (const finding of check(external)) report.add(finding);
    return undefined;
  }
  const known = Object.hasOwn(KINDS, kind) ? KINDS[kind as Kind] : undefined;
  if (known) {
    const versions = known.versions.map((each) => apiVersion(known.group, each));
    if (versions.includes(version)) return kind as Kind;
    report.error("unknown-version", source, ["apiVersion"], `\`${kind}\` is not known in this API version`, {
      found: version,
      expected: versions.join(" or "),
    });
    return undefined;
  }
  const foreign = Object.keys(options.externalKinds ?? {}).map((key) => key.slice(key.lastIndexOf("/") + 1));
  const names = [...Object.keys(KINDS), ...foreign];
  const close = nearest(kind, names);
  report.error("unknown-kind", source, ["kind"], `Selvedge doesn't know the kind \`${kind}\` (${version})`, {
    expected: `one of ${[...new Set(names)].join(", ")}`,
    fix: kind.endsWith("List") ? "write its items as documents of their own, with --- between them" : Object.hasOwn(SAID_BY, kind) ? `${SAID_BY[kind]!} says it here` : close ? `did you mean \`${close}\`?` : "move it out of this folder: every document here is applied or refused",
  });
  return undefined;
}

function refuseDuplicates(resources: Resource[], report: Report): void {
  const seen = new Map<string, Resource>();
  for (const resource of resources) {
    const key = `${resource.kind} ${resource.id}`;
    const first = seen.get(key);
    if (!first) {
      seen.set(key, resource);
      continue;
    }
    const { file, line } = first.at(["metadata", "name"]);
    report.error("duplicate-resource", resource, ["metadata", "name"], `${key} is defined twice`, {
      found: `the first one at ${file}:${line}`,
      fix: "rename or remove one of the two",
    });
  }
}

/** Kinds of Istio and Kubernetes that people have beside their policies → what takes their place on a node. */
const SAID_BY: Record<string, string> = {
  PeerAuthentication: "the Gateway's spec.tls.frontend.default.validation, which asks for client certificates,",
  VirtualService: "an HTTPRoute",
  DestinationRule: "a Backend, with a BackendTLSPolicy for TLS to it,",
  ServiceEntry: "a Backend",
  Service: "a Backend",
};

const HALF_A_CHARACTER = /\p{Surrogate}/u;

/** Beyond it is no manifest, but somebody's data. */
const LARGEST_JSON = 1 << 26;

function listFiles(dir: string, report: Report): string[] {
  const files: string[] = [];
  const visit = (folder: string, depth: number): void => {
    let names: string[];
    try {
      names = readdirSync(folder).sort();
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      report.add({
        code: "policies-missing",
        severity: "error",
        message: missing ? "no such folder" : `cannot read this folder: ${(error as Error).message}`,
        where: { file: folder },
        fix: "name a folder that holds policy files",
      });
      return;
    }
    for (const name of names) {
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      let info;
      try {
        info = statSync(path);
      } catch {
        report.add({ code: "file-unreadable", severity: "error", message: "this link leads nowhere", where: { file: path } });
        continue;
      }
      // Links may form a circle; no sane folder of policies is that deep.
      if (info.isDirectory() && depth < 16) visit(path, depth + 1);
      else if (info.isFile() && (/\.ya?ml$/.test(name) || (name.endsWith(".json") && info.size <= LARGEST_JSON))) files.push(path);
    }
  };
  if (/\.(ya?ml|json)$/.test(dir) && statSync(dir, { throwIfNoEntry: false })?.isFile()) return [dir];
  visit(dir, 0);
  return files;
}
