/**
 * What `import … from "selvedge"` gives: the Proxy-Wasm host for a team's own test suite. host/README.md shows it at work.
 *
 * @example
 * import { loadFilter } from "selvedge";
 *
 * const filter = await loadFilter("dist/authz.wasm", { config: { namespace: "prod", policies: [] } });
 * const outcome = await filter.http({ method: "GET", path: "/" });
 * outcome.status; // 403, or 200
 */
export { SelvedgeError, type Finding, type Position } from "./errors.ts";
export * from "./host/index.ts";
