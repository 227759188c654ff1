import { SelvedgeError } from "../errors.ts";

/** One line of the Prometheus text format. */
export interface PrometheusSample {
  name: string;
  labels: Record<string, string>;
  /** NaN and the infinities included. */
  value: number;
}

const ESCAPES = new Map([["n", "\n"], ["\\", "\\"], ['"', '"']]);
const NUMBERS = new Map([["NaN", NaN], ["+Inf", Infinity], ["Inf", Infinity], ["-Inf", -Infinity]]);
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|(?=\}))/y;

/**
 * Samples of an exposition in the Prometheus text format 0.0.4, in order; comments and timestamps are skipped.
 *
 * @throws SelvedgeError `prometheus-malformed` with line and column
 */
export function parsePrometheus(text: string): PrometheusSample[] {
  const samples: PrometheusSample[] = [];
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return;
    samples.push(parseLine(line, index + 1));
  });
  return samples;
}

function parseLine(line: string, number: number): PrometheusSample {
  const malformed = (at: number, expected: string): never => {
    throw new SelvedgeError({ code: "prometheus-malformed", severity: "error", message: "malformed metrics", where: { file: "metrics", line: number, col: at + 1 }, found: line.slice(at, at + 40) || "the end of the line", expected });
  };
  NAME.lastIndex = 0;
  const name = NAME.exec(line)?.[0] ?? malformed(0, "a metric name");
  let at = name.length;
  const labels: Record<string, string> = {};
  if (line[at] === "{") {
    at++;
    while (line[at] !== "}") {
      LABEL.lastIndex = at;
      const label = LABEL.exec(line) ?? malformed(at, 'a label: name="value"');
      labels[label[1]!] = label[2]!.replace(/\\(.)/g, (whole, escaped: string) => ESCAPES.get(escaped) ?? whole);
      at = LABEL.lastIndex;
    }
    at++;
  }
  const [value = "", timestamp, ...rest] = line.slice(at).trim().split(/\s+/);
  const parsed = NUMBERS.get(value) ?? (value === "" ? NaN : Number(value));
  if (value !== "NaN" && Number.isNaN(parsed)) malformed(at, "a number");
  if (rest.length || (timestamp !== undefined && !/^-?\d+$/.test(timestamp))) malformed(at, "a value and at most a timestamp");
  return { name, labels, value: parsed };
}
