/** Reading an Envoy configuration without trusting its shape. */
export type Fields = Record<string, unknown>;

export function fieldsOf(value: unknown): Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : {};
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

/** `HttpConnectionManager` of `type.googleapis.com/envoy.extensions…v3.HttpConnectionManager`; of what a TypedStruct holds, too. */
export function typeOf(config: Fields): string {
  const last = (url: unknown): string => (typeof url === "string" ? url.split(/[./]/).at(-1)! : "");
  const type = last(config["@type"]);
  return type === "TypedStruct" ? last(config.type_url) : type;
}

/** The typed configuration of an extension, out of its TypedStruct. */
export function typedOf(extension: Fields): Fields {
  const typed = fieldsOf(extension.typed_config);
  return /TypedStruct$/.test(String(typed["@type"])) ? { "@type": typed.type_url, ...fieldsOf(typed.value) } : typed;
}

/** Field names as the proto files have them: Envoy takes `normalizePath` for `normalize_path`. Names that are the author's stay. */
export function protoNames(value: unknown, own = false): unknown {
  if (Array.isArray(value)) return value.map((each) => protoNames(each));
  if (value === null || typeof value !== "object") return value;
  // A Struct is the JSON of somebody else.
  const foreign = /protobuf\.Struct$/.test(String((value as Fields)["@type"]));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => {
    const name = own ? key : protoName(key);
    return [name, foreign && name === "value" ? each : protoNames(each, name === "typed_per_filter_config" || name === "static_layer")];
  }));
}

export function protoName(key: string): string {
  return /^[a-z][A-Za-z0-9]*$/.test(key) ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key;
}
