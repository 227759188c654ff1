/** What careless backends make of a path: each step that some server or framework takes, in any order, as often as it changes something. */

const latin1 = (byte: number): string => String.fromCharCode(byte);

const STEPS: ((path: string) => string)[] = [
  // %XX, once; twice, as often as this step is taken again.
  (path) => path.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => latin1(parseInt(hex, 16))),
  // Only what comes before a query, a fragment, a NUL.
  (path) => path.replace(/\?.*$/s, ""),
  (path) => path.replace(/#.*$/s, ""),
  (path) => path.replace(/\0.*$/s, ""),
  // Matrix parameters, as servlet containers drop them.
  (path) => path.replace(/;[^/]*/g, ""),
  (path) => path.replaceAll("\\", "/"),
  (path) => path.replace(/\/{2,}/g, "/"),
  // UTF-8 decoders that take overlong forms.
  (path) => path.replace(/\xc0([\x80-\xbf])|\xc1([\x80-\xbf])|\xe0\x80([\x80-\xbf])|\xe0\x81([\x80-\xbf])|\xf0\x80\x80([\x80-\xbf])|\xf0\x80\x81([\x80-\xbf])/g, (_, a, b, c, d, e, f) => {
    const low = ((a ?? b ?? c ?? d ?? e ?? f) as string).charCodeAt(0) & 0x3f;
    return latin1(low + (b ?? d ?? f ? 0x40 : 0));
  }),
  resolveDots,
];

function resolveDots(path: string): string {
  const out: string[] = [];
  const segments = path.split("/");
  segments.forEach((segment, index) => {
    if (segment === "." || segment === "..") {
      if (segment === ".." && out.length > 1) out.pop();
      if (index === segments.length - 1) out.push("");
    } else out.push(segment);
  });
  return out.join("/");
}

/** Every path that some order of the steps reads it as, itself included. */
export function naiveReadings(path: string): Set<string> {
  const all = new Set([path]);
  for (const reading of all) {
    for (const step of STEPS) all.add(step(reading));
    if (all.size > 5_000) throw new Error(`too many readings of ${JSON.stringify(path)}`);
  }
  return all;
}

/** Ways to write `/<first>/<second>` that something reads as that path. */
export function disguises(first: string, second: string): string[] {
  const encode = (text: string): string => [...text].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`).join("");
  const twice = encode(first).replaceAll("%", "%25");
  const f = first;
  const s = second;
  const separators = ["/", "//", "///", "/./", "%2f", "%2F", "%5c", "\\", "/\\", "%252f", "%255c", "%c0%af", "%C0%AF", "%e0%80%af", "%f0%80%80%af", "%c1%9c", "/;/", "/;x/", ";/", ";x=1/", ";x=1;y/", ";a,b/", "%3b/", "%3Bx/", "%253b/", "/%2e/", "/.;/", "/%2e;x/", "/x/../", "/x/%2e%2e/", "/x/..;/", "/x/..;a=b/", "/x/%2e%2e%3b/", "/x/%252e%252e/", "/x/.%2e/", "/x/%2e./", "/x;/../", "/x/..%00/", "/x/%c0%ae%c0%ae/", "/x/..%c0%af", "/x/..%5c", "/x/..\\", "/x/..%2f", "/x/..%252f", "/%20/../"];
  const starts = ["/", "//", "/./", "/x/../", "/%2e/", "/%2e%2e/", "/../", "/..;/", "/.;/", "/;/", "/;x/", "/%5c", "/\\", "\\", "/%2f", "/x/..;/", "/x/%2e%2e/", "/%252f", "/public/../", "/public/..;/", "/public;/../", "/public/%2e%2e/", "/public/..%2f", "/public/..%5c", "/public/%252e%252e/", "/public/..%252f", "/public/%c0%ae%c0%ae/", "/public/%2e%2e%3b/", "/public/..%00/", "/public/x/..;/..;/", "/public%2f..%2f", "/files/..;/", "/files/%252e%252e/"];
  const ends = ["", "/", ";", ";x", ";.css", "%3b", "%3b.css", "%253b.css", "#", "#.css", "%23", "%23.css", "%2523", "?", "?.css", "%3f", "%3f.css", "%00", "%00.css", "%2500.css", "/.", "/x/..", "/;x", "//", "/%2e", "\\", "%5c", "%5c.css", "%c0%80.css", "%20", "/..;/" + s, "*", "/*", "/a*b", "/%2a", "/[", "/%5b", "/\"", "/ü", "/%c3%bc", "/%fc", "/a%", "/%zz", "/%u002f"];
  const firsts = [encode(f), f[0] + encode(f.slice(1)), encode(f).toUpperCase().replaceAll("%", "%"), twice, `${f};`, `${f};x=1`, `${f}%3b`, `;x${f}`, `${f}%00`, `%00${f}`, `${f}*`, `*${f}`];
  return [...new Set([
    ...separators.map((separator) => `/${f}${separator}${s}`),
    ...starts.map((start) => `${start}${f}/${s}`),
    ...ends.map((end) => `/${f}/${s}${end}`),
    ...ends.map((end) => `/${f}${end}`),
    ...firsts.map((each) => `/${each}/${s}`),
    ...firsts.map((each) => `/${f}/${each}`),
    ...["/", "//", "%2f", ";/", "/..;/"].flatMap((separator) => starts.slice(0, 14).map((start) => `${start}${f}${separator}${s};x`)),
    `/public/page;/../../${f}/${s}`, `/public/..;/${f};x/${s}`, `/${f.toUpperCase()}%2f..%2f${f}/${s}`, `/${f}/%2e%2e/${f}/${s}`, `/${f};a/%252e%252e/public/page`, `/${f}%252fx/..;/${s}`,
    `/public/page%23/..;/${f}/${s}`, `/public/page%3f/../../${f}/${s}`, `http://x/${f}/${s}`, `/http://x/../${f}/${s}`,
  ])];
}
