/** Metadata of a filter that isn't there, for `experimental.*`: any value for each key that policies ask for. */
import { extension, type Config } from "../../harness/compose/emit/config.ts";
import { encodeStruct, parseProto, protoBytes, type Json } from "../../harness/host/proto.ts";
import type { Configuration } from "../unit/authz/oracle.ts";

export const OTHER_FILTER = "envoy.filters.http.x";
const METADATA_HEADER = "selvedge-metadata-";
/** The first type of the PROXY protocol's that is for everybody's own use; there are 16. */
const FIRST_TLV = 0xe0;

/** Keys of {@link OTHER_FILTER}'s that policies ask for, in a fixed order. */
export function metadataKeys({ policies }: Configuration): string[] {
  const start = `experimental.${OTHER_FILTER}[`;
  const keys = policies.flatMap(({ spec }) => (spec.rules ?? []).flatMap(({ when = [] }) => when.map(({ key }) => key).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length, -1))));
  return [...new Set(keys)].slice(0, 16);
}

/** Makes it from a request's headers. */
export function metadataFilter(keys: readonly string[]): Config[] {
  if (keys.length === 0) return [];
  return [extension("envoy.filters.http.header_to_metadata", "envoy.extensions.filters.http.header_to_metadata.v3.Config", {
    request_rules: keys.map((key, index) => ({
      header: METADATA_HEADER + index,
      on_header_present: { metadata_namespace: OTHER_FILTER, key, type: "PROTOBUF_VALUE", encode: "BASE64" },
      remove: true,
    })),
  })];
}

export function metadataHeaders(keys: readonly string[], metadata: Record<string, Json>): [string, string][] {
  return keys.flatMap((key, index): [string, string][] => (Object.hasOwn(metadata, key) ? [[METADATA_HEADER + index, encoded(metadata[key]!)]] : []));
}

/** A google.protobuf.Value. */
function encoded(value: Json): string {
  const entry = protoBytes(parseProto(encodeStruct({ x: value }))!, 1);
  return Buffer.from(protoBytes(parseProto(entry)!, 2)).toString("base64");
}

/** Rules of the PROXY protocol's listener filter, which make it of what a connection's start says: strings only. */
export const tlvRules = (keys: readonly string[]): Config[] =>
  keys.map((key, index) => ({ tlv_type: FIRST_TLV + index, on_tlv_present: { metadata_namespace: OTHER_FILTER, key } }));

export const tlvsOf = (keys: readonly string[], metadata: Record<string, Json>): [number, string][] =>
  keys.flatMap((key, index): [number, string][] => (typeof metadata[key] === "string" && metadata[key] !== "" ? [[FIRST_TLV + index, metadata[key]]] : []));
