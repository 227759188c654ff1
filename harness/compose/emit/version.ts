/** Fields that moved between Envoy's versions: what is written depends on who will read it. */

/** Major and minor. */
export type EnvoyVersion = readonly [number, number];

/** The version that this configuration was made and measured for. */
export const DEFAULT_ENVOY: EnvoyVersion = [1, 40];

/** Failure policies, filter state in routes and the fixes that Wasm filters need are all there since. */
export const OLDEST_ENVOY: EnvoyVersion = [1, 36];

/** The identity of a connection in filter state. */
export const OLDEST_PEER_STATE: EnvoyVersion = [1, 37];

export function atLeast(version: EnvoyVersion, major: number, minor: number): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor);
}

/** `1.40` or `1.40.0`; undefined for anything else. */
export function parseVersion(text: string): EnvoyVersion | undefined {
  const match = /^v?(\d+)\.(\d+)(\.\d+.*)?$/.exec(text);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}
