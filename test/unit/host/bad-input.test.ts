import { readFileSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import wabtInit from "wabt";
import { describe, expect, test } from "vitest";
import { SelvedgeError } from "../../../harness/errors.ts";
import { loadFilter } from "../../../harness/host/index.ts";
import { rewriteModule } from "../../../harness/host/rewrite.ts";
import { load, module } from "./support.ts";

const wabt = await wabtInit();
const onRequest = (body: string): string => `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${body} (i32.const 0))`;

/** What the host said about a module whose requests run this. */
async function warnings(body: string, extra = "", status = 200): Promise<string[]> {
  const filter = await load(`${onRequest(body)} ${extra}`);
  expect((await filter.http()).status).toBe(status); // the module lives on
  return filter.logs.filter(({ from, level }) => from === "host" && level === "warn").map(({ message }) => message);
}

describe("pointers outside of the module", () => {
  test.each([
    ["proxy_log", "(drop (call $log (i32.const 2) (i32.const -8) (i32.const 99)))"],
    ["proxy_get_header_map_value", "(drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const -2) (i32.const 4)))"],
    ["proxy_get_header_map_pairs", "(drop (call $pairs (i32.const 0) (i32.const 262143) (i32.const 4)))"],
    ["proxy_set_shared_data", "(drop (call $set_shared (i32.const 16) (i32.const 0x7fffffff) (i32.const 16) (i32.const 1) (i32.const 0)))"],
    ["proxy_send_local_response", "(drop (call $reply (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 262140) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const -1)))"],
    ["proxy_call_foreign_function", "(drop (call $foreign (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"],
  ])("are named with module and call: %s", async (call, body) => {
    const said = await warnings(body, '(data (i32.const 16) ":path")');
    expect(said).toEqual([expect.stringContaining(`test: ${call} was given memory outside of the module`)]);
  });

  test("are reported once, not in every request", async () => {
    expect(await warnings(`(drop (call $log (i32.const 2) (i32.const -8) (i32.const 99))) (drop (call $log (i32.const 2) (i32.const -8) (i32.const 99)))`)).toHaveLength(1);
  });
});

describe("header maps that are no header maps", () => {
  /** The request is left without a path. */
  const NO_ROUTE = 404;
  const set = (size: number): string => `(drop (call $set_pairs (i32.const 0) (i32.const 1024) (i32.const ${size})))`;
  test.each([
    ["too many pairs", set(12), '(data (i32.const 1024) "\\ff\\ff\\00\\00")', /65535 pairs, more than 1024/],
    ["too short", set(3), "", /3 bytes, not even a count/],
    ["lengths beyond the end", set(16), '(data (i32.const 1024) "\\01\\00\\00\\00\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff")', /1 pairs that do not fill 16 bytes/],
    ["without NULs", set(14), '(data (i32.const 1024) "\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00ab")', /1 pairs that do not fill 14 bytes/],
    ["too long", set(1_048_577), '(func (export "_initialize") (drop (memory.grow (i32.const 20))))', /1048577 bytes, more than 1048576/],
  ])("are named with module and call: %s", async (_, body, extra, message) => {
    const [said, ...more] = await warnings(body, extra, NO_ROUTE);
    expect(said).toMatch(/^test: proxy_set_header_map_pairs was given headers that count as none: /);
    expect(said).toMatch(message);
    expect(more).toEqual([]);
  });

  test("an empty one is fine", async () => {
    expect(await warnings(set(4), "", NO_ROUTE)).toEqual([]);
  });
});

describe("code that never ends", () => {
  const ended = async (body: string, features = {}): Promise<string> => {
    const filter = await loadFilter(compile(body, features), { name: "test", timeLimitMs: 40 });
    expect((await filter.http()).status).toBe(503);
    return filter.status.reason ?? "";
  };
  const compile = (body: string, features: object): Uint8Array => {
    const parsed = wabt.parseWat("test.wat", `(module (memory (export "memory") 40) (func (export "proxy_abi_version_0_2_1")) (func (export "malloc") (param i32) (result i32) (i32.const 8)) ${body})`, features);
    try {
      return parsed.toBinary({}).buffer;
    } finally {
      parsed.destroy();
    }
  };
  const callback = (body: string): string => `(func $f (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${body})`;
  const OVER = /^Function: proxy_on_request_headers failed: ran for more than 40 ms and was ended \(module test\)/;

  test("because it calls itself twice at every level", async () => {
    const body = `(func $twice (param i32) (if (local.get 0) (then (call $twice (i32.sub (local.get 0) (i32.const 1))) (call $twice (i32.sub (local.get 0) (i32.const 1))))))`;
    expect(await ended(`${body} ${callback("(call $twice (i32.const 200)) (i32.const 0)")}`)).toMatch(OVER);
  });

  test("because it calls itself through a table", async () => {
    const body = `(type $t (func (param i32))) (table funcref (elem $twice)) (func $twice (type $t) (if (local.get 0) (then (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)) (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))`;
    expect(await ended(`${body} ${callback("(call $twice (i32.const 200)) (i32.const 0)")}`)).toMatch(OVER);
  });

  test("because two functions hand over to each other (tail calls)", async () => {
    const body = "(func $a (result i32) (return_call $b)) (func $b (result i32) (return_call $a))";
    expect(await ended(`${body} ${callback("(call $a)")}`, { tail_call: true })).toMatch(OVER);
  });

  test("because it copies memory again and again", async () => {
    expect(await ended(callback("(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 2621440)) (br $again)) (i32.const 0)"), { bulk_memory: true })).toMatch(OVER);
  });

  test("although it catches every exception", async () => {
    expect(await ended(callback("(loop $again (try (do (loop $inner (br $inner))) (catch_all)) (br $again)) (i32.const 0)"), { exceptions: true })).toMatch(OVER);
  });

  test("although its loops have parameters and results", async () => {
    expect(await ended(callback("(i32.const 1) (loop $again (param i32) (result i32) (i32.const 1) (i32.add) (br $again))"), { multi_value: true })).toMatch(OVER);
  });

  test("and a limit of 0 leaves the code as it is", () => {
    const code = module(onRequest("(drop (call $log (i32.const 2) (i32.const 16) (i32.const 1)))"));
    const original = new WebAssembly.Module(code);
    const { code: rewritten, checkFunction } = rewriteModule(code, { maxPages: 100, stoppable: false });
    expect(checkFunction).toBeUndefined();
    expect(WebAssembly.validate(rewritten)).toBe(true);
    expect(original).toBeInstanceOf(WebAssembly.Module);
  });
});

test("a module that fails with all of its memory used says so", async () => {
  const filter = await load(onRequest("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)"), { memoryLimitBytes: 1024 * 1024 });
  await filter.http();
  expect(filter.status.reason).toMatch(/proxy_on_request_headers failed: RuntimeError: unreachable \(its memory had reached the limit of 1048576 bytes\) \(module test\)/);
});

describe("rewriting", () => {
  const dist = fileURLToPath(new URL("../../../dist/edge.wasm", import.meta.url));
  const code = existsSync(dist) ? readFileSync(dist) : module(onRequest(""));

  test("keeps every byte of code findable at its place in the file", () => {
    const { code: rewritten, original } = rewriteModule(code, { maxPages: 16384, stoppable: true });
    let same = 0;
    for (let at = 8; at < rewritten.length; at++) if (rewritten[at] === code[original(at)]) same++;
    // What was put in has no place of its own; all else does.
    expect(same).toBeGreaterThan(code.length * 0.98);
    expect(original(rewritten.length)).toBe(code.length);
  });

  test("damaged modules are refused, or run, and never anything else", async () => {
    const small = module(onRequest("(drop (call $log (i32.const 2) (i32.const 16) (i32.const 1)))"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(small.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), async (changes) => {
        const damaged = Uint8Array.from(small);
        for (const [at, value] of changes) damaged[at] = value;
        try {
          const filter = await loadFilter(damaged, { name: "test", timeLimitMs: 50 });
          if (filter.status.state !== "rejected") await filter.http();
        } catch (error) {
          if (!(error instanceof SelvedgeError)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});
