/** What a schema can't say about a case: fields that exclude or need each other. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import type { CaseSpec, ExpectSpec, RequestSpec } from "./schema.ts";

/** True when there is nothing to report. */
export function checkSense(spec: CaseSpec, path: Path, source: Source, report: Report): boolean {
  const before = report.findings.length;
  const refuse = (field: Path, message: string, fix?: string): void => report.error("case-contradiction", source, [...path, ...field], message, { part: "key", fix });

  if (spec.engines !== undefined && new Set(spec.engines).size === 1 && spec.because === undefined) refuse(["engines"], "a case that only one engine can run says why", "add `because: …`");
  if (spec.because !== undefined && spec.engines === undefined) refuse(["because"], "`because` explains `engines`, and there is none");

  const refused = spec.expect?.["configuration-error"] !== undefined;
  if (refused) {
    for (const field of ["request", "upstream", "repeat", "steps"] as const) if (spec[field] !== undefined) refuse([field], `no request reaches a filter whose configuration is refused: \`${field}\` says nothing`);
    if (Object.keys(spec.expect!).length > 1) refuse(["expect"], "where the configuration is refused there is nothing else to expect");
  } else if (spec.steps !== undefined) {
    for (const field of ["repeat", "expect"] as const) if (spec[field] !== undefined) refuse([field], `with \`steps\`, each has its own \`${field}\``);
    if (spec.steps.every(({ expect }) => empty(expect))) refuse(["steps"], "none of the steps expects anything");
    spec.steps.forEach((step, index) => {
      if (step.expect?.["configuration-error"] !== undefined) refuse(["steps", index, "expect", "configuration-error"], "a configuration is refused before the first step", "a case of its own without `steps`");
      checkStep({ ...step, request: { ...spec.request, ...step.request } }, spec, ["steps", index], refuse);
    });
  } else {
    if (empty(spec.expect)) refuse(spec.expect === undefined ? [] : ["expect"], "this case expects nothing", "add `expect: { status: 200 }`");
    checkStep(spec, spec, [], refuse);
  }
  return report.findings.length === before;
}

function checkStep(step: { request?: RequestSpec; expect?: ExpectSpec; repeat?: number }, spec: CaseSpec, at: Path, refuse: (field: Path, message: string, fix?: string) => void): void {
  if (step.request?.properties !== undefined && !(spec.engines?.length === 1 && spec.engines[0] === "host")) refuse([...at, "request", "properties"], "properties can be pinned on the host engine only", "add `engines: [host]` and `because: …`");
  const { expect } = step;
  if (expect?.share !== undefined && step.repeat === undefined) refuse([...at, "expect", "share"], "a share of one request says nothing", "add `repeat: 1000`");
  if (step.request?.direct !== undefined && !step.request.direct.startsWith("127.")) refuse([...at, "request", "direct"], "the physical peer is on this machine: an address in 127.0.0.0/8", "`source` takes any address");
}

function empty(expect: ExpectSpec | undefined): boolean {
  return expect === undefined || Object.keys(expect).length === 0;
}
