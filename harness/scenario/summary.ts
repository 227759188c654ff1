/** One screen that says what a run showed. Pure: data in, text out; at most 100 columns. */
import pc from "picocolors";
import { decisionName } from "./decisions.ts";
import { percent, type CanaryRow, type Footprint, type RunResult, type TelemetryResult, type TrafficRow } from "./result.ts";
import type { Quantile } from "./statistics.ts";
import { table, type Cell } from "./table.ts";

export const WIDTH = 100;
const INDENT = 2;

type Colors = ReturnType<typeof pc.createColors>;

export interface SummaryOptions {
  color?: boolean;
}

export function renderSummary(result: RunResult, options: SummaryOptions = {}): string {
  const colors = pc.createColors(options.color ?? false);
  const sections = [
    [colors.bold(`${result.scenario} · ${result.folder} · ${result.envoy ? `Envoy ${result.envoy.version}` : "host engine, for trying out"}`)],
    authorization(result.traffic, colors),
    ...result.canaries.map((row) => canary(row, colors)),
    result.telemetry ? latencies(result.telemetry, result.engine, colors) : [],
    footprint(result.footprint, colors),
    verdict(result, colors),
  ];
  return `${sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function authorization(rows: readonly TrafficRow[], colors: Colors): string[] {
  const expected = rows.filter(({ expect, by }) => expect !== undefined || by !== undefined);
  const met = expected.filter(({ problem }) => problem === undefined).length;
  const lines = table(
    [{ shrink: { order: 0, least: 20 } }, { shrink: { order: 2, least: 12 } }, { align: "right" }, {}, { shrink: { order: 1, least: 22 } }, {}],
    [
      ["from", "request", "n", "outcome", "decided by policy#rule", ""].map((text) => dim(text, colors)),
      ...rows.flatMap((row): Cell[][] => [
        [row.from ?? "(no certificate)", `${row.method} ${row.host}${row.path}`, String(row.sent), outcome(row, colors), decidedBy(row), mark(row, colors)],
        // What sets two entries apart that look alike otherwise.
        ...Object.entries(row.headers).map(([name, value]) => ["", dim(`  ${name}: ${value}`, colors)]),
      ]),
    ],
    WIDTH - INDENT,
  );
  return [heading("Authorization", `${met} of ${expected.length} as expected`, colors), ...indent(lines)];
}

const WORDS = { allow: "allowed", deny: "denied", refuse: "refused", fail: "failed" } as const;

function outcome({ outcomes, sent }: TrafficRow, colors: Colors): Cell {
  const present = (Object.keys(WORDS) as (keyof typeof WORDS)[]).filter((each) => outcomes[each] > 0);
  const most = present.sort((a, b) => outcomes[b] - outcomes[a])[0];
  if (most === undefined) return "nothing";
  if (present.length > 1) return { text: `${outcomes[most]}/${sent} ${WORDS[most]}`, style: colors.red };
  return { text: WORDS[most], style: most === "allow" ? colors.green : most === "fail" ? colors.red : colors.yellow };
}

function decidedBy({ decidedBy: decisions, outcomes }: TrafficRow): string {
  if (decisions.length > 0) {
    return decisions.map((decision) => (decision.policy !== "none" ? decisionName(decision) : decision.allowed ? "no policy attached" : "no policy allows it")).join(", ");
  }
  return outcomes.refuse > 0 ? "no client certificate" : "";
}

function mark({ expect, by, problem }: TrafficRow, colors: Colors): Cell {
  if (problem !== undefined) return { text: "✗", style: colors.red };
  return expect === undefined && by === undefined ? "" : { text: "✓", style: colors.green };
}

function canary(row: CanaryRow, colors: Colors): string[] {
  const stay = row.sticky ? (row.moved === 0 ? "every user stayed on an arm" : `${row.moved} users were moved`) : "each request by itself";
  const lines = table(
    [{ shrink: { order: 0, least: 12 } }, { align: "right" }, { align: "right" }, { align: "right" }, { align: "right" }],
    [
      ["arm", row.unit, "share", "95 % interval", "weight"].map((text) => dim(text, colors)),
      ...row.arms.map(({ name, count, share, interval, expected }): Cell[] => [
        name,
        String(count),
        percent(share),
        `${percent(interval.low)} – ${percent(interval.high)}`,
        percent(expected),
      ]),
    ],
    WIDTH - INDENT,
  );
  const verdictMark = row.problem === undefined ? colors.green("✓") : colors.red("✗");
  const scale = row.unit === "users" ? `${row.units} users, ${row.requests} requests` : `${row.requests} requests`;
  return [heading(`Canary ${row.route}`, `${scale}, ${stay} ${verdictMark}`, colors), ...indent(lines)];
}

function latencies({ answered, counted, edges, problem }: TelemetryResult, engine: RunResult["engine"], colors: Colors): string[] {
  const lines = table(
    [{ shrink: { order: 0, least: 14 } }, {}, { shrink: { order: 1, least: 14 } }, { align: "right" }, { align: "right" }, { align: "right" }, { align: "right" }, { align: "right" }, { align: "right" }],
    [
      ["source", "", "destination", "requests", "denied", "errors", "p50 ms", "p95 ms", "p99 ms"].map((text) => dim(text, colors)),
      ...edges.map(({ source, destination, requests, denied, errors, latency }): Cell[] => [
        source,
        "→",
        destination,
        String(requests),
        denied === 0 ? "" : String(denied),
        errorRate(errors, requests - denied, colors),
        ...(latency ? [latency.p50, latency.p95, latency.p99].map(milliseconds) : ["", "", ""]),
      ]),
    ],
    WIDTH - INDENT,
  );
  const count = `${counted} of ${answered} requests counted ${problem === undefined ? colors.green("✓") : colors.red("✗")}`;
  return [heading(`Latency, from ${engine === "envoy" ? "Envoy's" : "the host engine's"} /stats/prometheus`, count, colors), ...indent(lines)];
}

function errorRate(errors: number, answered: number, colors: Colors): Cell {
  if (answered <= 0) return "";
  return errors === 0 ? "0 %" : { text: percent(errors / answered), style: colors.yellow };
}

function milliseconds({ value, beyond }: Quantile): string {
  return `${beyond ? "> " : ""}${value < 10 ? value.toFixed(1) : value.toFixed(0)}`;
}

function footprint({ modules, residentBytes, cpuPerRequest }: Footprint, colors: Colors): string[] {
  const parts = [
    ...modules.map(({ name, bytes }) => `${name} ${(bytes / 1024).toFixed(1)} KB`),
    ...(residentBytes === undefined ? [] : [`Envoy ${(residentBytes / 1_048_576).toFixed(0)} MB resident`]),
    ...(cpuPerRequest === undefined ? [] : [`${cpuPerRequest.toFixed(0)} µs of its CPU per request with TLS`]),
  ];
  if (parts.length === 0) return [];
  const [first, ...rest] = wrap(`Footprint  ${parts.join(" · ")}`);
  return [first!.replace("Footprint", colors.bold("Footprint")), ...rest];
}

function verdict({ ok, problems }: RunResult, colors: Colors): string[] {
  if (ok) return [colors.green("Everything was as the scenario expects.")];
  return [colors.red(`${problems.length} ${problems.length === 1 ? "expectation" : "expectations"} failed:`), ...problems.flatMap((problem) => wrap(`- ${problem}`))];
}

function heading(title: string, note: string, colors: Colors): string {
  return `${colors.bold(title)}  ${colors.dim(note)}`;
}

function dim(text: string, colors: Colors): Cell {
  return { text, style: colors.dim };
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => " ".repeat(INDENT) + line);
}

/** Breaks a long line at blanks; what follows is indented. */
export function wrap(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
