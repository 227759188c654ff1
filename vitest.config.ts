import { defineConfig } from "vitest/config";

/**
 * Suites by what they need: `unit` nothing but Node, `envoy` an Envoy binary, `containers` Docker,
 * `conformance` both engines, `foreign` compilers of other languages (each skipped where there is none). `npm test` picks those that this machine can run and says which it skipped.
 */
// With SELVEDGE_RETRY=1, as before landing, what failed is tried once more; test/support/second-tries.ts names what needed it.
const retry = process.env["SELVEDGE_RETRY"] === "1" ? 1 : 0;

const suite = (name: string, include: string, timeout: number) => ({
  test: { name, include: [include], testTimeout: timeout, hookTimeout: timeout * 2, fileParallelism: name === "unit", retry },
});

export default defineConfig({
  test: {
    projects: [
      suite("unit", "test/unit/**/*.test.ts", 60_000),
      suite("envoy", "test/envoy/**/*.test.ts", 120_000),
      suite("containers", "test/containers/**/*.test.ts", 180_000),
      suite("conformance", "test/conformance/**/*.test.ts", 120_000),
      suite("foreign", "test/foreign/**/*.test.ts", 300_000),
      suite("upstream", "test/differential/upstream.test.ts", 120_000),
      suite("differential", "test/differential/native*.test.ts", 600_000),
    ],
  },
});
