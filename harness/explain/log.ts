/** One line of an access log, asked again today. */
import { fail } from "../errors.ts";
import { linesOf } from "../replay/lines.ts";
import { conditionsOfPolicies } from "./nearest.ts";
import { listenerOf, readLogLine, unknownToRoutes, type Recorded } from "../decide/log-line.ts";
import type { EdgeNode } from "../decide/node.ts";
import type { Asked } from "./request.ts";

export interface AskedAgain extends Asked {
  recorded: Recorded;
  line: number;
}

/** The text of the line that `FILE[:LINE]` names (the last one without a number), `-` for standard input. @throws SelvedgeError, UsageError */
export async function lineAt(place: string): Promise<{ text: string; file: string; line: number }> {
  const [, file = "", number] = /^(.*?)(?::(\d+))?$/s.exec(place)!;
  let found: { text: string; file: string; line: number } | undefined;
  let line = 0;
  for await (const text of linesOf(file)) {
    line += 1;
    if (number !== undefined && line !== Number(number)) continue;
    if (text === undefined || text.trim() !== "") found = { text: text ?? "", file, line };
    if (number !== undefined) break;
  }
  return found ?? fail("log-line", number === undefined ? "there is no line" : `there is no line ${number}, or nothing in it`, { where: { file }, found: `${line} lines` });
}

/** @throws SelvedgeError `log-line` where the line doesn't say what is needed */
export function askedAgain(node: EdgeNode, text: string, line: number, file: string): AskedAgain {
  const refuse = (message: string): never => fail("log-line", message, { where: { file, line }, found: /^[^?]{0,80}/.exec(text)![0], expected: "a JSON line with method, authority, path, principal, peer, local, route; of a connection, with protocol TCP, principal, peer, remote, local, sni", fix: "a Telemetry with accessLogging has `selvedge compose` write such a log" });
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
