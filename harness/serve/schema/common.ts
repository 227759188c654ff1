/** What the parts of the configuration's schema share. Every object is closed: a field that isn't named here is refused. */
import { Type, type TProperties, type TSchema } from "@sinclair/typebox";

const TYPE_URL = "type.googleapis.com/";

export const object = <T extends TProperties>(properties: T) => Type.Object(properties, { additionalProperties: false });

export const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);

/** A google.protobuf.Any as JSON: the fields beside the type's URL. */
export const any = <T extends TProperties>(type: string, properties: T) => object({ "@type": Type.Literal(`${TYPE_URL}${type}`), ...properties });

/** A named extension. */
export const extension = <N extends string, T extends TProperties>(name: N, type: string, properties: T) => object({ name: Type.Literal(name), typed_config: any(type, properties) });

export const oneOf = <const V extends readonly string[]>(...values: V) => Type.Unsafe<V[number]>({ type: "string", enum: [...values] });

/** `1.5s` */
export const Duration = Type.String({ pattern: "^[0-9]+(\\.[0-9]+)?s$", expected: "seconds such as 0.25s" });

export const Count = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 });

export const Address = object({ socket_address: object({ address: Type.String(), port_value: Type.Integer({ minimum: 0, maximum: 65_535 }) }) });

export const DataSource = Type.Union([object({ filename: Type.String() }), object({ inline_string: Type.String() })], { expected: "{ filename } or { inline_string }" });

export const Regex = object({ regex: Type.String() });

export const StringMatch = Type.Union([object({ exact: Type.String() }), object({ safe_regex: Regex })], { expected: "{ exact } or { safe_regex }" });

/** Milliseconds. */
export function milliseconds(duration: string): number {
  return Math.round(Number(duration.slice(0, -1)) * 1000);
}
