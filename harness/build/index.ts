/** Compiles filters with AssemblyScript and reads WebAssembly modules. */
export { buildAll, buildFilter, compileModule, listFilters } from "./build.ts";
export type { BuildAllRequest, BuildRequest, BuildResult } from "./build.ts";
export { releaseOptions, type AscOptions } from "./compiler.ts";
export { capabilitiesOf, inspectModule, requireProxyWasm, type Inspection } from "./inspect.ts";
export { readManifest, type Manifest, type ModuleDescription } from "./manifest.ts";
export { findFilterSource, type FilterSource } from "./source.ts";
export { packageRoot, packageVersion } from "./root.ts";
export { readWasm, type WasmModule } from "./wasm.ts";
