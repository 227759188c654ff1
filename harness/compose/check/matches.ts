/** Matches of an HTTPRoute rule: what Gateway API's own validation refuses, and patterns that Envoy's RE2 can't take. */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { RouteMatch } from "../schema/httproute.ts";
import type { Path } from "../source.ts";

export function checkMatches(matches: RouteMatch[], route: Resource, base: Path, report: Report): void {
  matches.forEach((match, i) => {
    const at: Path = [...base, i];
    if (match.path) checkPath(match.path.type ?? "PathPrefix", match.path.value ?? "/", route, [...at, "path", "value"], report);
    if (match.method === "CONNECT") {
      report.error("unsupported-field", route, [...at, "method"], "CONNECT is refused by the listener, so no route can match it");
    }
    for (const list of ["headers", "queryParams"] as const) {
      const seen = new Set<string>();
      (match[list] ?? []).forEach((item, j) => {
        const where: Path = [...at, list, j];
        // Header names are the same in any case; parameter names are not.
        const name = list === "headers" ? item.name.toLowerCase() : item.name;
        if (seen.has(name)) {
          report.warn("match-duplicate", route, [...where, "name"], `${item.name} is matched already: only the first entry counts`);
        }
        seen.add(name);
        if (item.type === "RegularExpression") checkPattern(item.value, route, [...where, "value"], report);
        else if (list === "headers" && name === "host") {
          report.error("wrong-value", route, [...where, "name"], "the Host header is matched by `hostnames`");
        }
      });
    }
  });
}

function checkPath(type: string, value: string, route: Resource, path: Path, report: Report): void {
  if (type === "RegularExpression") {
    if (value === "") report.error("wrong-value", route, path, "an empty pattern matches no path");
    else checkPattern(value, route, path, report);
    return;
  }
  const refuse = (message: string): void => report.error("wrong-value", route, path, message, { found: value });
  if (!value.startsWith("/")) return refuse("a path starts with /");
  // The listener merges slashes, resolves dot segments and unescapes %2F before routing: these could never match.
  for (const part of ["//", "/./", "/../", "%2f", "%2F", "#", "?"]) {
    if (value.includes(part)) return refuse(`a path to match holds no "${part}"`);
  }
  if (/\/\.{1,2}$/.test(value)) refuse("a path to match doesn't end in a dot segment");
}

/** RE2 has no look-around and no back references; syntax that both lack is found by JavaScript's own parser. */
function checkPattern(pattern: string, route: Resource, path: Path, report: Report): void {
  const refuse = (message: string): void => report.error("wrong-value", route, path, message, { found: pattern, expected: "a pattern in RE2 syntax" });
  const bare = pattern.replace(/\\\\/g, "");
  if (/\(\?(=|!|<=|<!)/.test(bare)) return refuse("RE2 has no look-ahead or look-behind");
  if (/\\[1-9]/.test(bare)) return refuse("RE2 has no back references");
  const plain = pattern.replace(/\(\?[imsU-]+\)/g, "").replace(/\(\?[imsU-]+:/g, "(?:").replace(/\(\?P</g, "(?<");
  try {
    new RegExp(plain);
  } catch (error) {
    refuse(`not a regular expression: ${(error as Error).message.replace(/^Invalid regular expression: \/.*\/[a-z]*: /, "")}`);
  }
}
