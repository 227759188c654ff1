/** Snapshots of a file of cases: in a file of their own beside it, where a review sees both. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import type { Finding } from "../errors.ts";
import type { Mismatch } from "./expect.ts";
import type { CaseObservation, CasePlan, StepObservation } from "./plan.ts";
import { diffLines, snapshotOf } from "./snapshot.ts";

const SUFFIX = ".snapshot.yaml";
const HEAD = "# Written by `selvedge test --update-snapshots`. A change here is a change of behaviour: review it like code.\n";

export const isSnapshotFile = (path: string): boolean => path.endsWith(SUFFIX);

/** `cases/reads.yaml` → `cases/reads.snapshot.yaml` */
export const snapshotFile = (file: string): string => file.replace(/\.ya?ml$/, "") + SUFFIX;

export interface SnapshotOptions {
  /** Takes what is seen for what is right. */
  update: boolean;
  /** Nobody is there to look at a new snapshot: a missing one is a failure. */
  ci: boolean;
}

/** `CI=true`, as every CI system sets it. */
export const inCi = (): boolean => !["", "0", "false"].includes(process.env.CI ?? "");

export interface SnapshotCounts {
  written: number;
  updated: number;
  removed: number;
}

type Stored = Record<string, unknown>;

export class SnapshotStore {
  readonly path: string;
  readonly counts: SnapshotCounts = { written: 0, updated: 0, removed: 0 };
  /** By the case's name. */
  readonly #stored: Map<string, unknown>;
  /** Taken from what an engine saw in this run: the other engine is held against it. */
  readonly #fresh = new Set<string>();
  readonly finding: Finding | undefined;

  constructor(
    file: string,
    private readonly options: SnapshotOptions,
  ) {
    this.path = snapshotFile(file);
    const { stored, finding } = read(this.path);
    this.#stored = new Map(Object.entries(stored));
    this.finding = finding;
  }

  /** Whether a step is as stored, or isn't stored at all. */
  fits(plan: CasePlan, index: number, seen: StepObservation): boolean {
    const stored = this.#stored.get(plan.name);
    const step = plan.steps[index]!;
    if (step.expect.snapshot === undefined || stored === undefined || (this.options.update && !this.#fresh.has(plan.name))) return true;
    return isDeepStrictEqual(plan.steps.length === 1 ? stored : (stored as Stored)[stepName(index)], plain(snapshotOf(step, seen)));
  }

  check(plan: CasePlan, observation: CaseObservation): Mismatch[] {
    const taken = taking(plan, observation);
    if (taken === undefined) return [];
    const stored = this.#stored.get(plan.name);
    if (isDeepStrictEqual(stored, taken)) return [];
    const where = plan.steps.find(({ expect }) => expect.snapshot !== undefined)!.at("expect", "snapshot");
    const writes = !this.#fresh.has(plan.name) && (this.options.update || (stored === undefined && !this.options.ci));
    if (writes) {
      this.counts[stored === undefined ? "written" : "updated"]++;
      this.#stored.set(plan.name, taken);
      this.#fresh.add(plan.name);
      return [];
    }
    if (stored === undefined) {
      return [{ where, what: "snapshot", expected: `one in ${basename(this.path)}`, got: "none stored, and in CI none is written: run `selvedge test` where you work, and commit the file" }];
    }
    const expected = this.#fresh.has(plan.name) ? "what the other engine saw" : `as in ${basename(this.path)}`;
    return [{ where, what: "snapshot", expected, got: "something else; if it is right, `selvedge test --update-snapshots`", diff: diffLines(stringify(stored).trimEnd(), stringify(taken).trimEnd()) }];
  }

  /**
   * Writes what is new, in the order of the cases. Snapshots that no case asks for are named, or with `update` removed.
   * @param plans every case of the file
   */
  finish(plans: readonly CasePlan[]): string[] {
    const wanted = plans.filter(({ steps }) => steps.some(({ expect }) => expect.snapshot !== undefined)).map(({ name }) => name);
    const obsolete = [...this.#stored.keys()].filter((name) => !wanted.includes(name));
    if (this.options.update) for (const name of obsolete) this.#stored.delete(name);
    if (this.options.update) this.counts.removed = obsolete.length;
    if (this.counts.written + this.counts.updated + this.counts.removed > 0) this.#write([...wanted, ...obsolete]);
    return this.options.update ? [] : obsolete;
  }

  #write(order: readonly string[]): void {
    if (this.#stored.size === 0) return rmSync(this.path, { force: true });
    const all = Object.fromEntries(order.filter((name) => this.#stored.has(name)).map((name) => [name, this.#stored.get(name)]));
    const next = `${this.path}.${process.pid}.tmp`;
    writeFileSync(next, HEAD + stringify(all, { lineWidth: 0 }));
    renameSync(next, this.path);
  }
}

/** What a case's steps would store; undefined: none asks for a snapshot, or it didn't get that far. */
function taking(plan: CasePlan, { steps, configurationError }: CaseObservation): unknown {
  if (configurationError !== undefined || steps.length < plan.steps.length) return undefined;
  const taken = plan.steps.flatMap((step, index) => (step.expect.snapshot === undefined ? [] : [[stepName(index), plain(snapshotOf(step, steps[index]!))] as const]));
  if (taken.length === 0) return undefined;
  return plan.steps.length === 1 ? taken[0]![1] : Object.fromEntries(taken);
}

const stepName = (index: number): string => `step ${index + 1}`;

/** As it comes back from the file. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

function read(path: string): { stored: Stored; finding?: Finding } {
  if (!existsSync(path)) return { stored: {} };
  try {
    const stored: unknown = parse(readFileSync(path, "utf8")) ?? {};
    if (typeof stored === "object" && !Array.isArray(stored)) return { stored: stored as Stored };
  } catch {
    // The same as a file of another shape.
  }
  return { stored: {}, finding: { code: "snapshot-unreadable", severity: "error", message: "this is no file of snapshots", where: { file: path, line: 1, col: 1 }, fix: "take it from version control, or delete it and run `selvedge test`" } };
}

/** Files of snapshots in these files' folders whose cases are gone. */
export function orphans(files: readonly string[]): Finding[] {
  const folders = new Set(files.map((file) => dirname(file)));
  return [...folders].flatMap((folder) => {
    const names = readdirSync(folder);
    return names
      .filter((name) => isSnapshotFile(name) && !names.some((each) => !isSnapshotFile(each) && snapshotFile(each) === name && /\.ya?ml$/.test(each)))
      .map((name): Finding => ({ code: "snapshot-obsolete", severity: "warning", message: "these snapshots belong to no file of cases", where: { file: join(folder, name), line: 1, col: 1 }, fix: "delete the file" }));
  });
}
