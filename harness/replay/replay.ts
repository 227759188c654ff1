/** Re-decides the requests of an access log with two folders of policies, and collects what flips. */
import { fail, type Position } from "../errors.ts";
import { readLogLine, type LoggedRequest } from "../decide/log-line.ts";
import type { EdgeNode } from "../decide/node.ts";
import { splitPath } from "../decide/request.ts";
import { linesOf } from "./lines.ts";
import { Redecider, type Outcome } from "./redecide.ts";

export interface FlipGroup {
  principal: string;
  workload: string;
  method: string;
  /** Identifiers in it are `{id}`. */
  path: string;
  from: Side;
  to: Side;
  count: number;
  /** The first line that flips so. */
  line: number;
  example: string;
}

export interface Side {
  verdict: Outcome["verdict"];
  rule: string | undefined;
  where: Position | undefined;
}

export interface ReplayResult {
  lines: number;
  decided: number;
  flips: number;
  /** Most frequent first. */
  groups: FlipGroup[];
  /** Flips beyond the number of groups that are kept apart. */
  ungrouped: number;
  /** Why lines could not be decided on. */
  undecided: { reason: string; count: number; line: number }[];
  /** Requests whose recorded decision isn't what the old folder says: it isn't the one that was in force. */
  unlikeRecorded: { count: number; line: number | undefined };
  /** Same verdict, other rule. */
  byOtherRule: number;
  requestsPerSecond: number;
}

const MOST_GROUPS = 10_000;
const MOST_REASONS = 1_000;
const CACHED = 50_000;

/** @throws SelvedgeError when the log can't be read, or none of its lines can be decided on */
export async function replay(log: string, old: EdgeNode, next: EdgeNode): Promise<ReplayResult> {
  const [before, after] = [new Redecider(old), new Redecider(next)];
  const groups = new Map<string, FlipGroup>();
  const undecided = new Map<string, { reason: string; count: number; line: number }>();
  const cache = new Map<string, readonly [Outcome | string, Outcome | string]>();
  const result: ReplayResult = { lines: 0, decided: 0, flips: 0, groups: [], ungrouped: 0, undecided: [], unlikeRecorded: { count: 0, line: undefined }, byOtherRule: 0, requestsPerSecond: 0 };
  const started = performance.now();
  const skip = (reason: string, line: number): void => {
    const known = undecided.get(reason);
    if (known) known.count++;
    else if (undecided.size < MOST_REASONS) undecided.set(reason, { reason, count: 1, line });
    else skip("other reasons", line);
  };
  try {
    let line = 0;
    for await (const text of linesOf(log)) {
      line++;
      if (text?.trim() === "") continue;
      result.lines++;
      const logged = text === undefined ? "longer than 1 MiB" : readLogLine(text);
      if (typeof logged === "string") {
        skip(logged, line);
        continue;
      }
      const key = keyOf(logged);
      let both = cache.get(key);
      if (!both) {
        both = [before.decide(logged), after.decide(logged)];
        if (cache.size >= CACHED) cache.clear();
        cache.set(key, both);
      }
      const [was, is] = both;
      if (typeof was === "string" || typeof is === "string") {
        skip(typeof was === "string" ? (typeof is === "string" && is === was ? was : `${was} (--old)`) : `${is as string} (--new)`, line);
        continue;
      }
      result.decided++;
      if (logged.recorded.allowed !== undefined && logged.recorded.allowed !== (was.verdict === "allow")) {
        result.unlikeRecorded.count++;
        result.unlikeRecorded.line ??= line;
      }
      if (was.verdict === is.verdict) {
        if (was.rule !== is.rule) result.byOtherRule++;
        continue;
      }
      result.flips++;
      collect(groups, result, logged, was, is, line, old, next);
    }
  } finally {
    before.close();
    after.close();
  }
  result.requestsPerSecond = Math.round(result.lines / ((performance.now() - started) / 1000));
  result.groups = [...groups.values()].sort((a, b) => b.count - a.count || a.line - b.line);
  result.undecided = [...undecided.values()].sort((a, b) => b.count - a.count);
  if (result.decided === 0) {
    fail("replay-nothing", result.lines === 0 ? "the log has no line" : `none of ${result.lines} lines can be decided on`, {
      where: { file: log },
      ...(result.undecided[0] && { found: `line ${result.undecided[0].line}: ${result.undecided[0].reason}` }),
      expected: "JSON lines as an access log of `selvedge compose` has them",
    });
  }
  return result;
}

/** Everything that a decision may depend on. */
function keyOf({ request, route, port, shape }: LoggedRequest): string {
  const { method, host, path, headers, peer, direct, remote, sni, local, claims } = request;
  return JSON.stringify([shape, method, host, path, headers, peer, direct, remote, sni, local.address, port, route, claims]);
}

function collect(groups: Map<string, FlipGroup>, result: ReplayResult, { request }: LoggedRequest, was: Outcome, is: Outcome, line: number, old: EdgeNode, next: EdgeNode): void {
  const principal = request.peer?.join(",") ?? "anonymous";
  const { path } = splitPath(request.path);
  const workload = is.workload ?? was.workload ?? "none";
  const key = JSON.stringify([principal, workload, request.method, pathTemplate(path), was.verdict, was.rule, is.verdict, is.rule]);
  const known = groups.get(key);
  if (known) known.count++;
  else if (groups.size >= MOST_GROUPS) result.ungrouped++;
  else {
    const side = (node: EdgeNode, { verdict, rule }: Outcome): Side => ({ verdict, rule, where: rule === undefined ? undefined : whereIs(node, rule) });
    groups.set(key, { principal, workload, method: request.connection ? "connection" : request.method, path: request.connection ? (request.sni ?? "") : pathTemplate(path), from: side(old, was), to: side(next, is), count: 1, line, example: path });
  }
}

function whereIs(node: EdgeNode, rule: string): Position | undefined {
  const at = rule.lastIndexOf("#");
  return node.positionOf({ policy: rule.slice(0, at), rule: Number(rule.slice(at + 1)) });
}

/** Segments that look like identifiers become `{id}`: numbers, UUIDs, hashes, long mixtures of letters and digits. */
export function pathTemplate(path: string): string {
  return path
    .split("/")
    .map((segment) => (/^\d+$/.test(segment) || /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(segment) || (/^[0-9a-f]{12,}$/i.test(segment) && /\d/.test(segment)) || (segment.length >= 16 && /\d/.test(segment) && /^[\w.~=-]+$/.test(segment)) ? "{id}" : segment))
    .join("/");
}
