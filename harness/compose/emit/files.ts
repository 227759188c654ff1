/** Names of files inside the configuration: absolute, or relative to a folder that Envoy is started in. */
import { readFileSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import type { Pem } from "../resolve/model.ts";
import type { Config } from "./config.ts";

export class Files {
  readonly #baseDir: string | undefined;
  readonly #read: boolean;

  constructor(baseDir: string | undefined, read: boolean) {
    this.#baseDir = baseDir;
    this.#read = read;
  }

  /** As it stands in the configuration. */
  name(file: string): string {
    const absolute = resolve(file);
    if (this.#baseDir === undefined) return absolute;
    const local = relative(resolve(this.#baseDir), absolute).split(sep).join("/");
    return local.startsWith("../") ? absolute : local;
  }

  /** envoy.config.core.v3.DataSource. */
  source(pem: Pem): Config {
    return "file" in pem ? { filename: this.name(pem.file) } : { inline_string: pem.inline };
  }

  text(pem: Pem): string {
    if ("inline" in pem) return pem.inline;
    return this.#read ? readFileSync(pem.file, "utf8") : "";
  }
}
