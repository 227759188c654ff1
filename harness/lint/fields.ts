/** Reading an Envoy configuration without trusting its shape. */
export type Fields = Record<string, unknown>;

export function fieldsOf(value: unknown): Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : {};
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

/** `HttpConnectionManager` of `type.googleapis.com/envoy.extensions…v3.HttpConnectionManager`. */
export function typeOf(config: Fields): string {
  return String(config["@type"] ?? "").split(".").at(-1) ?? "";
}
