import { toByteString } from "./bytes.ts";
import { encodeStruct, ProtoWriter, type Json } from "./proto.ts";
import { jsonValue, messageValue, stringOf, type Value } from "./values.ts";

/** The proxy's own identity, as modules read it from `xds.node`. */
export interface NodeInfo {
  id?: string;
  cluster?: string;
  metadata?: { readonly [key: string]: Json };
  locality?: LocalityInfo;
}

export interface LocalityInfo {
  region?: string;
  zone?: string;
  subZone?: string;
}

const text = (value: string | undefined) => () => stringOf(toByteString(value ?? ""));

/** `envoy.config.core.v3.Node`. */
export function nodeValue(node: NodeInfo): Value {
  return messageValue(
    {
      id: text(node.id),
      cluster: text(node.cluster),
      metadata: () => jsonValue(node.metadata ?? {}),
      locality: () => localityValue(node.locality ?? {}),
      user_agent_name: text("envoy"),
    },
    () => {
      const writer = new ProtoWriter().bytes(1, node.id ?? "").bytes(2, node.cluster ?? "");
      if (node.metadata !== undefined) writer.bytes(3, encodeStruct(node.metadata), true);
      if (node.locality !== undefined) writer.bytes(4, encodeLocality(node.locality), true);
      return writer.bytes(6, "envoy").finish();
    },
  );
}

/** `envoy.config.core.v3.Locality`. */
export function localityValue(locality: LocalityInfo): Value {
  return messageValue(
    { region: text(locality.region), zone: text(locality.zone), sub_zone: text(locality.subZone) },
    () => encodeLocality(locality),
  );
}

function encodeLocality(locality: LocalityInfo): Uint8Array {
  return new ProtoWriter().bytes(1, locality.region ?? "").bytes(2, locality.zone ?? "").bytes(3, locality.subZone ?? "").finish();
}
