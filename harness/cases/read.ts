/** Reads files of cases into plans; what is wrong in a file comes back as findings with their place. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LineCounter, parseDocument, type Document } from "yaml";
import type { Finding, Position } from "../errors.ts";
import { packageRoot } from "../build/root.ts";
import { findFilterSource, type FilterSource } from "../build/source.ts";
import { nearest } from "../compose/nearest.ts";
import { Report, sortFindings } from "../compose/report.ts";
import { Source, type Path } from "../compose/source.ts";
import { show } from "../compose/validate.ts";
import { scriptOf } from "./connections.ts";
import { milliseconds, planUpstream, type CasePlan, type StepPlan } from "./plan.ts";
import type { CaseSpec, FileSpec, StepSpec } from "./schema.ts";
import { checkSense } from "./sense.ts";
import { placeholders, rowName, substitute, type Values } from "./table.ts";
import { checkCase, checkFile } from "./validate.ts";

export interface ReadOptions {
  /** Where `filter: NAME` finds NAME.wasm; where the filter's source is built to unless given, else the package's `dist`. */
  modules?: string;
}

interface Options extends ReadOptions {
  sourceOf?: (filter: string) => FilterSource | undefined;
}

export interface CaseFile {
  file: string;
  /** What `filter` says, if it does. */
  filter?: string;
  /** Source of that filter, where it is known: the plans' module is what is built of it. */
  source?: FilterSource;
  /** Where it names its module. */
  moduleAt?: Position;
  plans: CasePlan[];
  findings: Finding[];
}

/** Numbers plans through a run. */
let nextId = 1;

/** Reads one file. Never throws for what it holds. */
export function readCaseFile(file: string, options: ReadOptions = {}): CaseFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const message = missing ? "there is no such file" : `cannot be read: ${(error as Error).message}`;
    return { file, plans: [], findings: [{ code: "cases-unreadable", severity: "error", message, where: { file } }] };
  }
  return readWith(file, text, options.modules === undefined ? { sourceOf: (filter) => findFilterSource(file, filter) } : options);
}

/** The text of one file. Pure. */
export function readCases(file: string, text: string, options: ReadOptions = {}): CaseFile {
  return readWith(file, text, options);
}

function readWith(file: string, text: string, options: Options): CaseFile {
  const report = new Report();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, stringKeys: true });
  const source = new Source(file, document, lines);
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    const deep = error.message.includes("call stack");
    const message = error.code === "MULTIPLE_DOCS" ? "a file of cases is one YAML document, and here another one begins" : deep ? "this is nested too deep to be read" : error.message;
    report.add({ code: "yaml-syntax", severity: "error", message, where: { file, line, col }, ...(error.code === "MULTIPLE_DOCS" && { fix: "put it into a file of its own" }) });
    // All the levels above fail as well.
    if (deep) break;
  }
  const plans: CasePlan[] = [];
  let spec: FileSpec | undefined;
  if (!report.failed) {
    const value = plainValue(document, file, report);
    // Whatever is wrong with the file's own fields, its cases are checked too.
    if (!report.failed && (checkFile(value, source, report) || hasCases(value))) {
      spec = value as FileSpec;
      if (spec.filter === undefined && spec.module === undefined) report.error("missing-field", source, [], "a file of cases needs `filter` or `module`");
      spec.cases.forEach((each, index) => plans.push(...plansOf(new CaseReader(file, spec!, source, report, options), each, index)));
      refuseDuplicates(plans, report);
    }
  }
  const named = spec?.module === undefined ? spec?.filter : undefined;
  const found = typeof named === "string" ? options.sourceOf?.(named) : undefined;
  return { file, ...(spec?.filter !== undefined && { filter: spec.filter }), ...(found && { source: found }), ...(spec && { moduleAt: source.at([spec.module === undefined ? "filter" : "module"]) }), plans: report.failed ? [] : plans, findings: sortFindings(unique(report.findings)) };
}

const hasCases = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Array.isArray((value as FileSpec).cases) && (value as FileSpec).cases.every((each: unknown) => typeof each === "object" && each !== null && !Array.isArray(each));

/** Aliases without anchor, or a bomb of them, only show when they are followed. */
function plainValue(document: Document, file: string, report: Report): unknown {
  try {
    return document.toJS();
  } catch (error) {
    report.add({ code: "yaml-syntax", severity: "error", message: (error as Error).message, where: { file, line: 1, col: 1 } });
    return undefined;
  }
}

class CaseReader {
  constructor(readonly file: string, readonly spec: FileSpec, readonly source: Source, readonly report: Report, readonly options: Options) {}

  get module(): string {
    const { module, filter } = this.spec;
    if (module !== undefined) return resolve(dirname(this.file), module);
    return join(this.options.modules ?? this.options.sourceOf?.(filter!)?.outDir ?? join(packageRoot, "dist"), `${filter}.wasm`);
  }

  get filter(): string {
    return this.spec.filter ?? this.module.replace(/^.*\//, "").replace(/\.wasm$/, "");
  }
}

/** One plan, or one for each row of the table. */
function plansOf(reader: CaseReader, spec: CaseSpec, index: number): CasePlan[] {
  const path: Path = ["cases", index];
  const { table, ...template } = spec;
  if (!Array.isArray(table)) return [planOf(reader, spec, path)].filter((plan) => plan !== undefined);
  if (!checkRows(reader, table, path)) return [];
  checkTable(reader, template, table, path);
  return table.flatMap((row, number) => {
    const filled = substitute(template, row) as CaseSpec;
    if (typeof spec.name === "string" && placeholders(spec.name).size === 0) filled.name = `${spec.name} [${number + 1}: ${rowName(row)}]`;
    return planOf(reader, filled, path, [...path, "table", number]) ?? [];
  });
}

/** A table without rows would be a case that never runs. */
function checkRows({ source, report }: CaseReader, table: readonly unknown[], path: Path): table is Values[] {
  const expected = "rows such as { method: GET, status: 200 }";
  if (table.length === 0) report.error("wrong-value", source, [...path, "table"], "the table has no rows", { expected });
  const wrong = [...table.keys()].filter((index) => typeof table[index] !== "object" || table[index] === null || Array.isArray(table[index]));
  for (const index of wrong) report.error("wrong-type", source, [...path, "table", index], "this row of the table is no mapping", { found: show(table[index]), expected });
  return table.length > 0 && wrong.length === 0;
}

/** Columns that no case uses, and names that no row has: one of the two is a typo. */
function checkTable({ source, report }: CaseReader, template: Omit<CaseSpec, "table">, table: Values[], path: Path): void {
  const used = placeholders(template);
  const columns = new Set(table.flatMap((row) => Object.keys(row ?? {})));
  for (const [name, at] of used) {
    if (name === "n" && !columns.has("n")) continue;
    table.forEach((row, index) => {
      if (Object.hasOwn(row ?? {}, name)) return;
      const close = nearest(name, [...columns]);
      const nowhere = !columns.has(name);
      if (nowhere && index > 0) return;
      report.error("table-column", source, nowhere ? [...path, ...at] : [...path, "table", index], nowhere ? `no row of the table has \`${name}\`` : `this row has no \`${name}\``, {
        expected: `one of ${[...columns].join(", ")}`,
        fix: close !== undefined && nowhere ? `did you mean \${${close}}?` : undefined,
      });
    });
  }
  table.forEach((row, index) => {
    for (const name of Object.keys(row ?? {})) {
      if (used.has(name)) continue;
      const close = nearest(name, [...used.keys()]);
      report.error("table-column", source, [...path, "table", index, name], `nothing in this case uses \${${name}}`, { part: "key", fix: close === undefined ? "remove the column" : `did you mean \`${close}\`?` });
    }
  });
}

function planOf(reader: CaseReader, spec: CaseSpec, path: Path, row?: Path): CasePlan | undefined {
  const { source, report } = reader;
  if (!checkCase(spec, path, source, report)) return undefined;
  if (!checkSense(spec, path, source, report)) return undefined;
  const at = (...inner: (string | number)[]): Position => (row === undefined ? source.at([...path, ...inner]) : source.at(row));
  const own: StepSpec[] = spec.steps ?? [{ ...(spec.connection === undefined && { request: spec.request ?? {} }), upstream: spec.upstream, repeat: spec.repeat, expect: spec.expect ?? {} }];
  const configurationError = spec.expect?.["configuration-error"];
  const config = spec.config ?? reader.spec.config;
  return {
    id: nextId++,
    file: reader.file,
    name: spec.name,
    where: row === undefined ? source.at([...path, "name"]) : source.at(row),
    engines: spec.engines ?? ["host", "envoy"],
    because: spec.because,
    filter: reader.filter,
    module: reader.module,
    rootId: reader.spec["root-id"] ?? reader.filter,
    config: config === undefined ? "" : typeof config === "string" ? config : JSON.stringify(config),
    routes: { ...reader.spec.routes, ...spec.routes },
    steps: configurationError !== undefined ? [] : own.map((step, number) => stepOf(reader, spec, step, spec.steps ? (...inner) => at("steps", number, ...inner) : at)),
    configurationError,
  };
}

/** A step takes what it doesn't say itself from its case. */
function stepOf(reader: CaseReader, spec: CaseSpec, step: StepSpec, at: StepPlan["at"]): StepPlan {
  const idle = step.request === undefined && step.connection === undefined && step.wait !== undefined && step.repeat === undefined;
  const connects = step.connection !== undefined || (spec.connection !== undefined && step.request === undefined);
  const request = idle || connects ? undefined : { ...spec.request, ...step.request };
  return {
    waitMs: step.wait === undefined ? 0 : milliseconds(step.wait),
    request,
    ...(connects && !idle && { connection: { ...spec.connection, ...step.connection } }),
    upstream: planUpstream({ ...spec.upstream, ...step.upstream }, request),
    script: scriptOf(step.upstream?.send ?? spec.upstream?.send),
    clusters: { ...reader.spec.clusters, ...spec.clusters, ...step.clusters },
    repeat: step.repeat ?? 1,
    expect: step.expect ?? {},
    at,
  };
}

function refuseDuplicates(plans: CasePlan[], report: Report): void {
  const seen = new Map<string, CasePlan>();
  for (const plan of plans) {
    const first = seen.get(plan.name);
    seen.set(plan.name, first ?? plan);
    if (first) report.add({ code: "duplicate-case", severity: "error", message: `two cases are named ${JSON.stringify(plan.name)}`, where: plan.where, found: `the first one in line ${first.where.line}`, fix: "rename one" });
  }
}

/** Each row of a table repeats what is wrong with its case. */
function unique(findings: Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}
