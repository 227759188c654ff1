/**
 * Envoy runs V8 with a limit on linear memory; Node has no such switch. So the limit is written into the module: its
 * memory gets a maximum, and `memory.grow` fails beyond it exactly as it does in Envoy.
 */
const MEMORY_SECTION = 5;

/** The module with its own memory limited, and by how much the code moved (for stack traces). */
export interface CappedModule {
  code: Uint8Array;
  shift: { after: number; by: number };
}

/** Limits every memory that the module defines to `maxPages`. The bytes have been checked to be a module. */
export function capMemory(code: Uint8Array, maxPages: number): CappedModule {
  const unchanged = { code, shift: { after: Infinity, by: 0 } };
  let at = 8;
  while (at < code.length) {
    const id = code[at]!;
    const size = readLeb(code, at + 1);
    const end = size.next + size.value;
    if (id === MEMORY_SECTION) {
      const body = capLimits(code.subarray(size.next, end), maxPages);
      if (body === undefined) return unchanged;
      const section = Uint8Array.from([MEMORY_SECTION, ...leb(body.length), ...body]);
      return {
        code: Buffer.concat([code.subarray(0, at), section, code.subarray(end)]),
        shift: { after: at, by: section.length - (end - at) },
      };
    }
    at = end;
  }
  return unchanged;
}

function capLimits(body: Uint8Array, maxPages: number): number[] | undefined {
  const count = readLeb(body, 0);
  const out: number[] = [...leb(count.value)];
  let at = count.next;
  let changed = false;
  for (let i = 0; i < count.value; i++) {
    const flags = body[at]!;
    if (flags > 3) return undefined; // 64-bit memories: the engine decides
    const min = readLeb(body, at + 1);
    at = min.next;
    let max = maxPages;
    if (flags & 1) {
      const declared = readLeb(body, at);
      at = declared.next;
      max = Math.min(declared.value, maxPages);
      changed ||= max !== declared.value;
    } else changed = true;
    out.push(flags | 1, ...leb(min.value), ...leb(Math.max(max, min.value)));
  }
  return changed ? out : undefined;
}

function readLeb(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

function leb(value: number): number[] {
  const out: number[] = [];
  do {
    const low = value & 0x7f;
    value = Math.floor(value / 128);
    out.push(value > 0 ? low | 0x80 : low);
  } while (value > 0);
  return out;
}
