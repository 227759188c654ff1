/** Secret and ConfigMap, v1: only as carriers of certificates. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Metadata, optional } from "./common.ts";

const strings = Type.Record(Type.String(), Type.String());

export const SecretResource = closed({
  apiVersion: Type.String(),
  kind: Type.String(),
  metadata: Metadata,
  type: optional(Type.String()),
  immutable: optional(Type.Boolean()),
  /** Base64. */
  data: optional(strings),
  stringData: optional(strings),
});

export const ConfigMapResource = closed({
  apiVersion: Type.String(),
  kind: Type.String(),
  metadata: Metadata,
  immutable: optional(Type.Boolean()),
  data: optional(strings),
  binaryData: optional(strings),
});

export type SecretResource = Static<typeof SecretResource>;
export type ConfigMapResource = Static<typeof ConfigMapResource>;
