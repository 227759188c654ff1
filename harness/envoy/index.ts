/** Finds, starts, checks and stops a real Envoy. */
export { AdminClient, type AdminResponse, type BoundListener } from "./admin.ts";
export { modulesIn, watchTraps } from "./backtraces.ts";
export { loadBootstrap, type Bootstrap, type ConfigSource } from "./config.ts";
export { findEnvoy, type EnvoyBinary, type EnvoySource, type FindOptions } from "./find.ts";
export { explainLog } from "./messages.ts";
export { checkPorts } from "./ports.ts";
export { startEnvoy, type RunningEnvoy, type StartOptions } from "./process.ts";
export { parsePrometheus, type PrometheusSample } from "./prometheus.ts";
export { executableOnPath, run, type CommandResult } from "./run.ts";
export { validateConfig } from "./validate.ts";
export { compareVersions, defaultVersion, envoyVersion, minimumVersion } from "./version.ts";
