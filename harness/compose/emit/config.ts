/** The shape of an Envoy configuration while it is built: plain JSON, with typed extensions made by one function. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined };
export type Config = { [key: string]: Json | undefined };

/** An `Any` as JSON: the message's fields next to its type. */
export function typed(type: string, fields: Config = {}): Config {
  return { "@type": `type.googleapis.com/${type}`, ...fields };
}

/** A named extension. */
export function extension(name: string, type: string, fields: Config = {}): Config {
  return { name, typed_config: typed(type, fields) };
}

/** Without fields that are undefined, at any depth: what is left is what gets printed. */
export function clean<T extends Json | undefined>(value: T): T {
  if (Array.isArray(value)) return value.map((each) => clean(each)) as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined).map(([key, each]) => [key, clean(each)]),
  ) as T;
}

/** Socket address; the port may be 0 for one that the system picks. */
export function socketAddress(address: string, port: number): Config {
  return { socket_address: { address, port_value: port } };
}

/** Part of a stat's name: dots would split it. */
export function statName(name: string): string {
  return name.replaceAll(".", "_");
}
