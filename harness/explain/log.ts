/** One line of an access log, asked again today. */
import { readFileSync } from "node:fs";
import { fail, UsageError } from "../errors.ts";
import { conditionsOfPolicies } from "./nearest.ts";
import { listenerOf, readLogLine, unknownToRoutes, type Recorded } from "../decide/log-line.ts";
import type { EdgeNode } from "../decide/node.ts";
import type { Asked } from "./request.ts";

export interface AskedAgain extends Asked {
  recorded: Recorded;
  line: number;
}

/** The text of the line that `FILE[:LINE]` names (the last one without a number), `-` for standard input. @throws SelvedgeError, UsageError */
export function lineAt(place: string): { text: string; line: number } {
  const [, file, number] = /^(.*?)(?::(\d+))?$/s.exec(place)!;
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file!, "utf8");
  } catch (error) {
    fail("log-unreadable", `cannot read: ${(error as Error).message}`, { where: { file: file! } });
  }
  const lines = text.split("\n");
  const filled = lines.flatMap((each, index) => (each.trim() === "" ? [] : [index + 1]));
  const line = number === undefined ? filled.at(-1) : Number(number);
  if (line === undefined || !filled.includes(line)) throw new UsageError(number === undefined ? `${file} has no line` : `${file} has no line ${number}`);
  return { text: lines[line - 1]!, line };
}

/** @throws SelvedgeError `log-line` where the line doesn't say what is needed */
export function askedAgain(node: EdgeNode, text: string, line: number, file: string): AskedAgain {
  const refuse = (message: string): never => fail("log-line", message, { where: { file, line }, expected: "a JSON line with method, authority, path, principal, peer, local, route; of a connection, with protocol TCP, principal, peer, remote, local, sni" });
  const logged = readLogLine(text);
  if (typeof logged === "string") return refuse(logged);
  const listener = listenerOf(node, logged);
  if (typeof listener === "string") return refuse(listener);
  const { request } = logged;
  const local = logged.port === undefined ? { ...request.local, port: listener.port } : request.local;
  const arrival = node.arrive(listener, { ...request, local }, unknownToRoutes(logged));
  if (arrival.kind === "unknown") return refuse("the route depends on headers or a query that the log doesn't have");
  const policies = arrival.kind === "arrived" ? [...arrival.gateway.applying(arrival.workload, "workload"), ...arrival.gateway.applying(arrival.workload, "gateway")] : [];
  const open = new Set(conditionsOfPolicies(policies, request.connection).flatMap(({ attribute }) => (logged.unknown(attribute) ? [attribute] : [])));
  return { arrival, request, recorded: logged.recorded, line, assumed: Object.fromEntries([...open].map((attribute) => [attribute, `${attribute} isn't in the log: taken as absent`])) };
}

/** Whether today's decision is the recorded one; undefined: the line doesn't tell what was decided. */
export function agrees(recorded: Recorded, verdict: string, by: string | undefined): boolean | undefined {
  if (recorded.allowed === undefined) return undefined;
  if (recorded.allowed !== (verdict === "allow")) return false;
  if (recorded.allowed || !recorded.named) return true;
  return (recorded.rule ? `${recorded.rule.policy}#${recorded.rule.rule}` : undefined) === by;
}
