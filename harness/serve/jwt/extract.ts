/** Where in a request tokens are looked for, and how they are taken out again. Pure. */
import type { HeaderMap } from "../../host/index.ts";
import type { JwtProviderConfig } from "../schema/jwt.ts";
import { parameters, withoutParameter } from "../router/query.ts";

export interface Found {
  token: string;
  /** Takes it off the request; a cookie stays, as with Envoy. */
  remove: (headers: HeaderMap) => void;
}

const DEFAULT: Pick<JwtProviderConfig, "from_headers" | "from_params"> = { from_headers: [{ name: "authorization", value_prefix: "Bearer " }], from_params: ["access_token"] };
const TOKEN_CHARACTER = /[A-Za-z0-9_.-]/;

/** All tokens at a provider's places, in the order in which Envoy comes to them. */
export function tokensIn(headers: HeaderMap, provider: JwtProviderConfig): Found[] {
  const { from_headers: named, from_params, from_cookies } = provider;
  const places = named || from_params || from_cookies ? provider : DEFAULT;
  return [...inHeaders(headers, places), ...inParameters(headers, places), ...inCookies(headers, from_cookies ?? [])];
}

function inHeaders(headers: HeaderMap, { from_headers = [] }: Pick<JwtProviderConfig, "from_headers">): Found[] {
  const places = new Map(from_headers.map(({ name, value_prefix = "" }) => [`${name.toLowerCase()}${value_prefix}`, { name: name.toLowerCase(), prefix: value_prefix }]));
  return [...places].sort(byKey).flatMap(([, { name, prefix }]) =>
    headers.getAll(name).flatMap((value): Found[] => {
      const token = afterPrefix(value, prefix);
      return token === undefined ? [] : [{ token, remove: (map) => map.remove(name) }];
    }),
  );
}

/** From the prefix, wherever it is, the rest that could be a token; without one the whole value. */
function afterPrefix(value: string, prefix: string): string | undefined {
  if (prefix === "") return value;
  const at = value.indexOf(prefix);
  if (at < 0) return undefined;
  const rest = value.slice(at + prefix.length);
  const start = rest.search(TOKEN_CHARACTER);
  return start < 0 ? value : rest.slice(start);
}

function inParameters(headers: HeaderMap, { from_params = [] }: Pick<JwtProviderConfig, "from_params">): Found[] {
  const path = headers.get(":path");
  if (path === undefined || from_params.length === 0) return [];
  const given = parameters(path);
  return [...new Set(from_params)].sort().flatMap((name): Found[] => {
    const token = given.find(([key]) => key === name)?.[1];
    return token === undefined ? [] : [{ token, remove: (map) => map.assign(":path", withoutParameter(map.get(":path") ?? "/", name)) }];
  });
}

function inCookies(headers: HeaderMap, wanted: readonly string[]): Found[] {
  if (wanted.length === 0) return [];
  const cookies = new Map<string, string>();
  for (const pair of headers.getAll("cookie").flatMap((value) => value.split(";"))) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trimStart();
    if (at < 0 || cookies.has(name)) continue;
    cookies.set(name, pair.slice(at + 1).replace(/^"(.*)"$/, "$1"));
  }
  return [...new Set(wanted)].sort().flatMap((name): Found[] => (cookies.has(name) ? [{ token: cookies.get(name)!, remove: () => {} }] : []));
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
