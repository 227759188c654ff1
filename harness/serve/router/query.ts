/** A path's parameters as Envoy takes them apart and puts them together again. Pure. */
import { splitPath } from "./match.ts";

/** Name and value of each, decoded; byte strings. */
export function parameters(path: string): [string, string][] {
  const [, query] = splitPath(path);
  return query.split("&").flatMap((part): [string, string][] => {
    if (part === "") return [];
    const at = part.indexOf("=");
    return at < 0 ? [[decoded(part), ""]] : [[decoded(part.slice(0, at)), decoded(part.slice(at + 1))]];
  });
}

/** The path without a parameter; the others come out sorted by name and decoded, as in Envoy. No HTTP message may be able to carry it then. */
export function withoutParameter(path: string, name: string): string {
  const kept = parameters(path).filter(([key]) => key !== name);
  const sorted = [...new Set(kept.map(([key]) => key))].sort().flatMap((key) => kept.filter(([each]) => each === key));
  const query = sorted.map(([key, value]) => `${key}=${value}`).join("&");
  return splitPath(path)[0] + (query === "" ? "" : `?${query}`);
}

/** The path with a parameter once, with this value. */
export function withParameter(path: string, name: string, value: string): string {
  const kept = parameters(path).filter(([key]) => key !== name);
  const all: [string, string][] = [...kept, [name, value]];
  const sorted = [...new Set(all.map(([key]) => key))].sort().flatMap((key) => all.filter(([each]) => each === key));
  return `${splitPath(path)[0]}?${sorted.map(([key, each]) => `${key}=${each}`).join("&")}`;
}

function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
