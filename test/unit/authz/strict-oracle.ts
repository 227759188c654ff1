/** The plain evaluator of `strictPaths`: every reading of a path written out, as filters/authz/README.md says it. */
import { AMBIGUOUS_PATH, type Request } from "./core.ts";
import { decide, matchOf, pathOf, type Configuration } from "./oracle.ts";

// Paths are bytes, one character each.
const decoded = (path: string): string => path.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
const delimitersDecoded = (path: string): string => path.replace(/%3b/gi, ";").replace(/%23/g, "#").replace(/%3f/gi, "?");
const stripped = (path: string): string => path.replace(/[#?].*$/s, "").replace(/;[^/]*/g, "").replace(/\/{2,}/g, "/");
/** Such that an operator of a template takes every character. */
const neutral = (path: string): string => path.replace(/[^a-zA-Z0-9\-._~%!$&'()*+,;=:@/]/g, "~");

/** Where a path leads to: ALLOW must hold too. */
const destinations = [stripped, (path: string) => stripped(delimitersDecoded(path))];
/** How it is spelt: no DENY may match. */
const spellings = [
  neutral, decoded, (path: string) => neutral(decoded(path)), (path: string) => stripped(decoded(path)), (path: string) => neutral(stripped(decoded(path))), (path: string) => neutral(stripped(path)),
];

function isAmbiguous(path: string): boolean {
  const text = decoded(path);
  const dots = (each: string): boolean => each.split("/").slice(1).some((segment) => segment === "." || segment === "..");
  return path.includes("//") || /%(?![0-9a-fA-F]{2})/.test(path) || /%2f|%25[0-9a-f]{2}/i.test(path) || /[\0-\x1f\x7f\\]/.test(text) || !isUtf8(text) || dots(text) || dots(stripped(text));
}

function isUtf8(text: string): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "latin1"));
    return true;
  } catch {
    return false;
  }
}

/** The decision, and the CUSTOM rule that matches in some reading. */
export function decideStrictly(configuration: Configuration, request: Request): { allowed: boolean; rule: string; handedOver: string | undefined } {
  const decision = decide(configuration, request);
  const handedOver = matchOf(configuration, request, "CUSTOM");
  const path = pathOf(request);
  if (!path) return { ...strictly(decision, request.path?.startsWith("#") ?? false), handedOver };
  const ambiguous = isAmbiguous(path);
  const as = (pathAsRead: string): Request => ({ ...request, pathAsRead } as Request);
  const others = ambiguous ? [] : [...destinations, ...spellings].map((read) => read(path));
  const custom = handedOver ?? others.map((reading) => matchOf(configuration, as(reading), "CUSTOM")).find((rule) => rule !== undefined);
  const fragment = /^[^?#]*#/s.test(request.path!);
  let result = strictly(decision, fragment || ambiguous);
  if (result.allowed) {
    const stricter = others.map((reading, index) => ({ index, ...decide(configuration, as(reading)) })).find(({ index, allowed, rule }) => !allowed && (index < destinations.length || rule !== "none"));
    if (stricter) result = { allowed: false, rule: stricter.rule };
  }
  return { ...result, handedOver: custom };
}

const strictly = ({ allowed, rule }: { allowed: boolean; rule: string }, ambiguous: boolean): { allowed: boolean; rule: string } =>
  allowed && ambiguous ? { allowed: false, rule: AMBIGUOUS_PATH } : { allowed, rule };
