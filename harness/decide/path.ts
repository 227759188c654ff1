/**
 * What Envoy's connection manager, set up as compose does it, makes of a path before any filter sees it: dot segments
 * resolved, also those with parameters, slashes merged, characters escaped or unescaped, and a redirect where slashes are escaped
 * (normalize_path, merge_slashes, path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT). Compared with Envoy 1.40.
 */

export interface NormalPath {
  /** With its query. */
  path: string;
  /** Envoy answers 307 with this path, and no policy is asked. */
  redirect: boolean;
  /** Envoy answers 400. */
  refused: boolean;
}

export function normalizePath(raw: string): NormalPath {
  const end = raw.search(/[?#]/);
  const bare = end < 0 ? raw : raw.slice(0, end);
  const rest = end < 0 ? "" : raw.slice(end);
  if (/[^\x21-\x7e]/.test(bare) || /%00/.test(bare) || rest.includes("#")) return { path: raw, redirect: false, refused: true };
  const unescaped = bare.replace(/%2f|%5c/gi, "/");
  return { path: mergeSlashes(resolveDots(unescaped)) + rest, redirect: unescaped !== bare, refused: false };
}

function escaped(segment: string): string {
  return segment
    .replace(/%([2-7][0-9a-f])/gi, (code, hex: string) => (/[\w.~-]/.test(String.fromCharCode(parseInt(hex, 16))) ? String.fromCharCode(parseInt(hex, 16)) : code))
    .replace(/["<>^`{|}]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Dots may be escaped, or be followed by parameters, but not both. */
function resolveDots(path: string): string {
  if (!path.startsWith("/")) return path;
  const out: string[] = [];
  const segments = path.replaceAll("\\", "/").slice(1).split("/");
  segments.forEach((segment, index) => {
    const plain = escaped(segment);
    const dots = /^(\.{1,2});/.exec(segment)?.[1] ?? plain;
    if (dots !== "." && dots !== "..") {
      out.push(plain);
      return;
    }
    if (dots === "..") out.pop();
    if (index === segments.length - 1) out.push("");
  });
  return `/${out.join("/")}`;
}

const mergeSlashes = (path: string): string => path.replace(/\/{2,}/g, "/");
