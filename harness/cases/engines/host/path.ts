/** Envoy's path normalisation as compose turns it on: `normalize_path`, `merge_slashes`, escaped slashes unescaped and redirected. Pure. */

/** What becomes of a path: another one, a redirect to one, or nothing that is let in. */
export type Normalized = { path: string } | { redirect: string } | "refused";

/** Held against Envoy 1.40 by test/envoy/cases-wire.test.ts; paths that don't start with a slash are left alone. */
export function normalizePath(given: string): Normalized {
  if (!given.startsWith("/")) return { path: given };
  if (given.includes("#")) return "refused";
  const question = given.indexOf("?");
  const [path, query] = question < 0 ? [given, ""] : [given.slice(0, question), given.slice(question)];
  const unescaped = path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
  if (/%00/.test(unescaped)) return "refused";
  const normal = withoutDots(canonical(unescaped)).replace(/\/{2,}/g, "/") + query;
  return unescaped === path ? { path: normal } : { redirect: normal };
}

/** Escapes that aren't needed go, those that are missing come; a backslash is a slash. */
function canonical(path: string): string {
  return path
    .replaceAll("\\", "/")
    .replace(/%[0-9a-f]{2}/gi, (escape) => {
      const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
      return /[A-Za-z0-9._~-]/.test(character) ? character : escape;
    })
    .replace(/[\u0000-\u0020"<>`{}|^\u007f-\uffff]+/g, (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""));
}

/** RFC 3986, section 5.2.4 */
function withoutDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/").slice(1);
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment === "..") kept.pop();
    if (segment !== "." && segment !== "..") kept.push(segment);
    else if (last) kept.push("");
  });
  return `/${kept.join("/")}`;
}
