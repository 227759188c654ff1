import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import wabtInit from "wabt";
import { findEnvoy, run, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { loadFilter } from "../../harness/host/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { loadCases, type LoadCase } from "./load-errors.ts";
import { bootstrap } from "./on-envoy.ts";

const wabt = await wabtInit();
let reason = "";
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch((error: Error) => {
  reason = error.message.split("\n")[0]!;
  return undefined;
});

function bytesOf(spec: LoadCase): Uint8Array {
  if (spec.bytes !== undefined) return spec.bytes;
  const parsed = wabt.parseWat("case.wat", spec.wat, { mutable_globals: true });
  const bytes = parsed.toBinary({ write_debug_names: true }).buffer;
  parsed.destroy();
  return bytes;
}

/** What the host says: undefined when it takes the module, else why not. */
async function onHost(spec: LoadCase): Promise<string | undefined> {
  try {
    const filter = await loadFilter(bytesOf(spec), { name: "case", topology: "envoy" });
    // A filter that has failed already was taken all the same.
    return filter.status.state === "rejected" ? filter.status.reason : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the host's verdict on a module", () => {
  for (const spec of loadCases) {
    test(spec.name, async () => {
      const verdict = await onHost(spec);
      if (spec.accepted) expect(verdict).toBeUndefined();
      else expect(verdict).toContain(spec.names);
    });
  }
});

describe.skipIf(envoy === undefined)(`Envoy's verdict is the same${envoy === undefined ? ` (skipped: ${reason})` : ""}`, () => {
  const directory = temporaryDirectory("conformance-load");
  const verdicts = new Map<string, boolean>();
  const output = new Map<string, string>();

  beforeAll(async () => {
    const waiting = [...loadCases];
    const next = async (): Promise<void> => {
      for (let spec = waiting.shift(); spec !== undefined; spec = waiting.shift()) {
        const base = join(directory.path, spec.name.replace(/\W/g, "-"));
        writeFileSync(`${base}.wasm`, bytesOf(spec));
        const config = bootstrap([{ id: "case" }], new Map([["case", `${base}.wasm`]]), { upstreamPort: 1, calleePort: 1, nobodyPort: 1, grpcPort: 1 });
        writeFileSync(`${base}.json`, JSON.stringify(config));
        const result = await run(envoy!.path, ["--mode", "validate", "-c", `${base}.json`, "--log-level", "warning"], { timeoutMs: 30_000 });
        verdicts.set(spec.name, result.code === 0);
        output.set(spec.name, result.stderr + result.stdout);
      }
    };
    await Promise.all([next(), next(), next()]);
  }, 120_000);
  afterAll(() => directory.remove());

  for (const spec of loadCases) {
    test(spec.name, () => {
      expect(verdicts.get(spec.name), output.get(spec.name)).toBe(spec.accepted);
    });
  }
});
