/** What Envoy's log says of one case. Pure. */

/** What a plugin's streams logged: `… wasm log <plugin> <root id> <vm id>: <message>`. */
export function linesOf(log: string, plugin: string): string[] {
  const head = new RegExp(`wasm log ${plugin}( [^:]*)?: (.*)$`);
  const messages: string[] = [];
  let mine = false;
  for (const line of log.replace(/\n$/, "").split("\n")) {
    if (LOG_LINE.test(line)) {
      const message = head.exec(line)?.[2];
      mine = message !== undefined;
      if (message !== undefined) messages.push(message);
    } else if (mine) messages.push(`${messages.pop()}\n${line}`);
  }
  return messages;
}

/** How each of Envoy's lines begins; what follows one without this is of the same message. */
const LOG_LINE = /^\[\d{4}-\d\d-\d\d [\d:.]+\]\[/;

/** Why Envoy has no listener of this plugin: the module's own words, or else Envoy's. */
export function refusal(log: string, plugin: string): string {
  const lines = log.split("\n");
  const own = refusalLines(log, plugin).flatMap((line) => /\[critical\]\[wasm\].* wasm log[^:]*: (.*)$/.exec(line)?.[1] ?? []);
  if (own.length > 0) return own.join("\n");
  return lines.find((line) => line.includes(`listener '${plugin}/`)) ?? "Envoy has no listener for this case and doesn't say why";
}

/** A root context's lines don't name the plugin; they stand between Envoy's about the one before and about this one. */
export function refusalLines(log: string, plugin: string): string[] {
  const lines = log.split("\n");
  const end = lines.findIndex((line) => line.endsWith(`Plugin ${plugin} failed to load`));
  const start = lines.slice(0, Math.max(0, end)).findLastIndex((line) => line.endsWith(" failed to load") || line.includes("lds: listener"));
  return lines.slice(start + 1, Math.max(0, end));
}

/** Why it ended by itself, as far as it says so. */
export function lastWords(log: string): string {
  const lines = log.trimEnd().split("\n");
  return (lines.findLast((line) => / Caught |assert failure|panic/.test(line)) ?? lines.at(-1) ?? "").replace(/^(\[[^\]]*\])+ */, "") || "nothing in its log";
}
