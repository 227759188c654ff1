import { readFile } from "node:fs/promises";
import { parse, YAMLParseError } from "yaml";
import { fail } from "../errors.ts";

/** The parts of an Envoy bootstrap that running one depends on. */
export interface Bootstrap {
  admin?: { address?: Address };
  static_resources?: { listeners?: Listener[]; [key: string]: unknown };
  [key: string]: unknown;
}

export interface Address {
  socket_address?: { address?: string; port_value?: number; protocol?: string };
  [key: string]: unknown;
}

export interface Listener {
  name?: string;
  address?: Address;
  additional_addresses?: { address?: Address }[];
  [key: string]: unknown;
}

/** A bootstrap as an object, as YAML or JSON text, or the path of a file that holds it. */
export type ConfigSource = Bootstrap | string | { file: string };

const ANY_PORT = { socket_address: { address: "127.0.0.1", port_value: 0 } };

/**
 * Reads a bootstrap, and gives it an admin interface on a free local port where it has none.
 *
 * @throws SelvedgeError `envoy-config-missing` or `envoy-config-syntax`
 */
export async function loadBootstrap(source: ConfigSource): Promise<Bootstrap> {
  const bootstrap = await read(source);
  return bootstrap.admin?.address ? bootstrap : { ...bootstrap, admin: { ...bootstrap.admin, address: ANY_PORT } };
}

async function read(source: ConfigSource): Promise<Bootstrap> {
  if (typeof source !== "string" && !isFile(source)) return source;
  const file = typeof source === "string" ? undefined : source.file;
  const text = typeof source === "string" ? source : await readFile(source.file, "utf8").catch((error: Error) => fail("envoy-config-missing", `the configuration can't be read: ${error.message}`, { where: { file: source.file } }));
  try {
    const value: unknown = parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Bootstrap;
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const [at] = error.linePos ?? [];
    fail("envoy-config-syntax", error.message.split("\n")[0]!, { where: { file: file ?? "configuration", line: at?.line, col: at?.col } });
  }
  return fail("envoy-config-syntax", "an Envoy bootstrap is a mapping", { where: { file: file ?? "configuration" } });
}

function isFile(source: object): source is { file: string } {
  return Object.keys(source).length === 1 && typeof (source as { file?: unknown }).file === "string";
}
