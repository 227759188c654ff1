/** What the host hands over: room that lives until the outermost callback returns. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
let call: (name: "open" | "close" | "allocate" | "callback" | "bytes" | "litter", argument?: number) => number;
beforeAll(async () => {
  module = await loadModule("memory");
  call = (name, argument = 0) => module.exports[name]!(argument) >>> 0;
});

const size = fc.oneof({ weight: 6, arbitrary: fc.nat({ max: 600 }) }, fc.nat({ max: 40_000 }), fc.integer({ min: 60_000, max: 70_000 }));
const step = fc.oneof({ weight: 5, arbitrary: size.map((bytes) => ({ bytes })) }, fc.constant("open" as const), fc.constant("close" as const));

describe("memory of a callback", () => {
  it("keeps every block apart and untouched until the outermost callback returns", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let depth = 1;
        let blocks: { at: number; bytes: number; mark: number }[] = [];
        call("open");
        for (const action of steps) {
          if (action === "open") {
            call("open");
            depth++;
          } else if (action === "close" && depth > 1) {
            call("close");
            depth--;
          } else if (typeof action === "object") {
            const block = { at: call("allocate", action.bytes), bytes: action.bytes, mark: (blocks.length + 1) % 256 };
            expect(block.at % 8).toBe(0);
            expect(block.at + block.bytes).toBeLessThanOrEqual(call("bytes"));
            view(block).fill(block.mark);
            blocks.push(block);
          }
        }
        for (const block of blocks) expect(view(block).every((byte) => byte === block.mark)).toBe(true);
        blocks = blocks.sort((a, b) => a.at - b.at);
        blocks.forEach((block, index) => index > 0 && expect(block.at).toBeGreaterThanOrEqual(blocks[index - 1]!.at + blocks[index - 1]!.bytes));
        while (depth-- > 0) call("close");
      }),
      { numRuns: 300 },
    );
  });

  it("is used again by the next one, the blocks beyond the scratch too", () => {
    call("open");
    const first = call("allocate", 100);
    call("close");
    for (let i = 0; i < 200; i++) {
      call("open");
      expect(call("allocate", 100)).toBe(first);
      for (let large = 0; large < 3; large++) call("allocate", 300_000); // 180 MB in all, of 4
      call("close");
    }
  });

  it("tells callbacks apart", () => {
    const seen = new Set(Array.from({ length: 100 }, () => (call("open"), call("callback"), call("close"), call("callback"))));
    expect(seen.size).toBe(100);
  });

  it("collects managed objects between callbacks, so that garbage doesn't pile up", () => {
    for (let i = 0; i < 500; i++) {
      call("open");
      call("litter", 1_000); // some 60 KB each time
      call("close");
    }
  });
});

const view = (block: { at: number; bytes: number }): Uint8Array => new Uint8Array(module.exports.memory!.buffer, block.at, block.bytes);
