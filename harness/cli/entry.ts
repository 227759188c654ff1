/** What the scripts in bin/ use of the bundle. */
import type { EnvoyImage } from "../envoy/containers.ts";

export { pingDocker } from "../envoy/docker.ts";
export { findEnvoy } from "../envoy/find.ts";
export { measureCoverage } from "./coverage.ts";
export { main } from "./main.ts";

/** An Envoy image that can be run here, pulled or built where needed. Loads Testcontainers only now. */
export async function findEnvoyImage(onProgress: (message: string) => void): Promise<EnvoyImage> {
  return (await import("../envoy/containers.ts")).findEnvoyImage({ onProgress });
}
