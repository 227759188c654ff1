/** Header modifiers: several filters in sequence become one list of changes as Envoy applies it (removals first). */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { HeaderModifier } from "../schema/httproute.ts";
import type { Path } from "../source.ts";
import type { HeaderChanges } from "./model.ts";

export const noChanges = (): HeaderChanges => ({ values: [], remove: [] });

/** The changes of one filter; the first of several entries for a name counts, which is reported. */
export function headerChanges(modifier: HeaderModifier, from: Resource, path: Path, report: Report): HeaderChanges {
  const seen = new Map<string, string>();
  const claim = (list: "set" | "add" | "remove", name: string, i: number): boolean => {
    const lower = name.toLowerCase();
    const where: Path = [...path, list, i];
    if (lower === "host" || lower.startsWith(":")) {
      report.error("header-refused", from, where, "the Host header can't be changed here", { fix: "use the URLRewrite filter's hostname" });
      return false;
    }
    const before = seen.get(lower);
    if (before !== undefined) {
      const same = before === list;
      const message = `the header ${name} stands in \`${before}\` already`;
      if (same && list !== "remove") report.warn("header-duplicate", from, where, `${message}: only its first value counts`);
      else if (!same) report.error("header-duplicate", from, where, message, { fix: "name a header in one of set, add and remove" });
      return false;
    }
    seen.set(lower, list);
    return true;
  };
  const changes = noChanges();
  for (const list of ["set", "add"] as const) {
    (modifier[list] ?? []).forEach(({ name, value }, i) => {
      if (claim(list, name, i)) changes.values.push({ name: name.toLowerCase(), value, append: list === "add" });
    });
  }
  (modifier.remove ?? []).forEach((name, i) => {
    if (claim("remove", name, i)) changes.remove.push(name.toLowerCase());
  });
  return changes;
}

/**
 * `first`, then `second`, as one step. Envoy removes before it adds, so what `second` removes must also vanish from
 * what `first` adds; what `second` adds after a removal by `first` comes out right as it is.
 */
export function combine(first: HeaderChanges, second: HeaderChanges): HeaderChanges {
  const replaced = new Set([...second.remove, ...second.values.filter((each) => !each.append).map((each) => each.name)]);
  return {
    values: [...first.values.filter((each) => !replaced.has(each.name)), ...second.values],
    remove: [...new Set([...first.remove, ...second.remove])],
  };
}
