/** What every check of a Scenario works on, and how it reports a reference that leads nowhere. */
import type { Policies } from "../compose/index.ts";
import { nearest } from "../compose/nearest.ts";
import type { Report } from "../compose/report.ts";
import type { Model } from "../compose/resolve/model.ts";
import type { Path, Source } from "../compose/source.ts";
import type { ScenarioSpec } from "./schema.ts";

export interface Context {
  spec: ScenarioSpec;
  source: Source;
  policies: Policies;
  model: Model;
  report: Report;
  /** The Scenario's own, where it names one. */
  namespace: string | undefined;
}

export function missing({ report, source }: Context, path: Path, kind: string, id: string, known: readonly { id: string }[]): void {
  const ids = known.map((each) => each.id);
  const close = nearest(id, ids);
  report.error("reference-missing", source, path, `there is no ${kind} ${id}`, {
    expected: ids.length > 0 ? `one of ${[...ids].sort().join(", ")}` : `a ${kind}`,
    ...(close ? { fix: `did you mean ${close}?` } : {}),
  });
}
