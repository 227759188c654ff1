/** What clients and servers on both sides of Envoy share. */
import type { OutgoingHttpHeaders } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { isBytes, type Chunk, type HeaderPairs } from "../../messages.ts";

/** Node's flat list, names in lower case; texts are UTF-8, as on the host. */
export function pairsOf(raw: readonly string[]): HeaderPairs {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!.toLowerCase(), Buffer.from(raw[2 * i + 1]!, "latin1").toString()]);
}

/** Node's HTTP/2 takes an object: values of a name keep their order. */
export function objectOf(headers: HeaderPairs): OutgoingHttpHeaders {
  const object: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const known = object[name];
    object[name] = known === undefined ? value : [known, value].flat();
  }
  return object;
}

/**
 * Writes a body as the case says, pauses included. Gives "reset" where it must break off, once what came before is out.
 */
export async function writeChunks(body: readonly Chunk[], to: { write(chunk: Uint8Array): boolean; destroyed: boolean }): Promise<"reset" | undefined> {
  for (const chunk of body) {
    if (to.destroyed) return undefined;
    if (isBytes(chunk)) to.write(chunk);
    else if (chunk === "reset") {
      await sleep(FLUSH_MS);
      return "reset";
    } else await sleep(chunk.waitMs);
  }
  return undefined;
}

/** What was written must have left, and been passed on, before the connection breaks. */
const FLUSH_MS = 30;
