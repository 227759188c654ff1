/** Beside a running Envoy: keeps on disk what its filters have taken, so that the next start has it. */
import { setTimeout as sleep } from "node:timers/promises";
import { audienceOf, sourcePath, type Composition } from "../compose/index.ts";
import type { RunningEnvoy } from "../envoy/index.ts";
import { open } from "./envelope.ts";
import { fetchBundle, serversOf } from "./fetch.ts";
import { writeState } from "./state.ts";
import type { Trusted } from "./trust.ts";

export interface KeepOptions {
  running: Pick<RunningEnvoy, "admin">;
  composition: Pick<Composition, "plugins" | "gateways" | "source">;
  trusted: Trusted;
  /** Folder of what is kept. */
  state: string;
  /** Hears what went wrong, each thing once. */
  onTrouble: (text: string) => void;
  intervalMs?: number;
}

/** Starts keeping. @returns stops it, once what is being written is written */
export function keepBundles({ running, composition, trusted, state, onTrouble, intervalMs = 2_000 }: KeepOptions): () => Promise<void> {
  const stopping = new AbortController();
  const kept = new Map<string, number>();
  let said = "";
  const { gateways, plugins, source } = composition;
  const watched = gateways.map((gateway) => ({
    audience: audienceOf(trusted.signing.node, gateway, gateways.length),
    names: plugins.filter((plugin) => plugin.gateway === gateway && (plugin.kind === "authz" || plugin.kind === "edge")).map(({ name }) => name),
  }));

  const look = async (): Promise<void> => {
    const stats = await running.admin.stats("selvedge_authz_bundle_version");
    for (const { audience, names } of watched) {
      // What every filter of the Gateway has taken: one that some of them refuse is nothing to start with.
      const version = Math.min(...names.map((name) => stats.get(`wasmcustom.selvedge_authz_bundle_version.plugin=.${name};`) ?? -1));
      if (!(version >= 0) || !Number.isFinite(version) || version <= (kept.get(audience) ?? -1)) continue;
      const text = await textOf(audience, version);
      if (text === undefined) continue;
      writeState(state, audience, text, version, trusted.keys);
      kept.set(audience, version);
    }
    said = "";
  };

  /** The bundle of this version; undefined: the source has another by now, which is for the filters to judge first. */
  const textOf = async (audience: string, version: number): Promise<string | undefined> => {
    const mounted = trusted.mounted.get(audience);
    if (mounted?.version === version) return mounted.text;
    if (!source) return undefined;
    const text = await fetchBundle(serversOf(source), sourcePath(source, audience), stopping.signal);
    const opened = open(text, { keys: trusted.keys, audience, now: 0 });
    return opened.payload?.version === version && opened.reason === undefined ? text : undefined;
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await look().catch((error: Error) => {
        if (stopping.signal.aborted || error.message === said) return;
        said = error.message;
        onTrouble(`the newest bundle isn't kept in ${state}: ${error.message}`);
      });
      await sleep(intervalMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return () => {
    stopping.abort();
    return loop;
  };
}
