/**
 * What Envoy's connection manager, set up as compose does it, makes of a path before any filter sees it: dot segments
 * resolved, slashes merged, and a redirect where slashes are escaped (normalize_path, merge_slashes,
 * path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT). Envoy's own code is the specification: source/common/http/path_utility.cc.
 */

export interface NormalPath {
  /** With its query. */
  path: string;
  /** Envoy answers 307 with this path, and no policy is asked. */
  redirect: boolean;
}

export function normalizePath(raw: string): NormalPath {
  const end = raw.search(/[?#]/);
  const bare = end < 0 ? raw : raw.slice(0, end);
  const rest = end < 0 ? "" : raw.slice(end);
  const unescaped = bare.replace(/%2f/gi, "/").replace(/%5c/gi, "/");
  return { path: mergeSlashes(resolveDots(unescaped)) + rest, redirect: unescaped !== bare };
}

function resolveDots(path: string): string {
  if (!path.startsWith("/")) return path;
  const out: string[] = [];
  const segments = path.replaceAll("\\", "/").slice(1).split("/");
  segments.forEach((segment, index) => {
    const dots = segment.replace(/%2e/gi, ".");
    const last = index === segments.length - 1;
    if (dots === "." || dots === "..") {
      if (dots === "..") out.pop();
      if (last) out.push("");
    } else out.push(segment);
  });
  return `/${out.join("/")}`;
}

const mergeSlashes = (path: string): string => path.replace(/\/{2,}/g, "/");
