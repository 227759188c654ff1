/** JSON from strangers, read as strictly as a google.protobuf.Struct is: what two readers could understand differently is refused. */
import type { Json } from "../../host/index.ts";

export type Struct = { readonly [key: string]: Json };

/** As deep as protobuf reads. */
const MOST_LEVELS = 100;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An object, or undefined: no JSON, another value, a key twice, too deep, a number or a character that there isn't. */
export function readStruct(bytes: Uint8Array): Struct | undefined {
  try {
    const text = decoder.decode(bytes);
    const value = JSON.parse(text) as unknown;
    if (typeof value !== "object" || value === null || Array.isArray(value) || !plain(text)) return undefined;
    return sound(value as Json) ? (value as Struct) : undefined;
  } catch {
    return undefined;
  }
}

/** No key twice in one object, no more levels than allowed; of text that is JSON. */
function plain(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      if (open.length > MOST_LEVELS) return false;
    } else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const key = JSON.parse(last) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return false;
      keys.add(key);
    }
    last = token;
  }
  return true;
}

function sound(value: Json): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "string") return !/\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return (value as readonly Json[]).every(sound);
  return Object.entries(value as Struct).every(([key, each]) => sound(key) && sound(each));
}
