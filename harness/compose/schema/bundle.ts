/** PolicyBundle, selvedge.dev/v1alpha1: the policies of this node come in signed bundles; whose, and from where. One for a folder. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Duration, listOf, NamespaceName, ObjectName, optional, Port, PreciseHostname } from "./common.ts";

const Version = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, expected: "a whole number from 0" });

export const BundleSpec = closed({
  /** PEM of P-256 public keys: one, or two while one replaces the other. */
  keys: listOf(Type.String({ pattern: "^\\s*-----BEGIN PUBLIC KEY-----", expected: "a public key as PEM, -----BEGIN PUBLIC KEY-----" }), 2),
  /** Name of the node; left to `--node` where several nodes share the folder. */
  audience: optional(Type.String({ minLength: 1, maxLength: 253, pattern: "^[^\\x00-\\x20/{}]+$", expected: "the name of a node, without spaces, slashes and braces" })),
  /** Older bundles are never taken. */
  minimumVersion: optional(Version),
  onExpiry: optional(Type.Union([Type.Literal("keep"), Type.Literal("deny")], { expected: "keep or deny" })),
  /** Where newer ones are fetched; without, there is only what is mounted. */
  source: optional(
    closed({
      backendRef: closed({ group: optional(Type.String()), kind: optional(Type.String()), name: ObjectName, namespace: optional(NamespaceName), port: optional(Port) }),
      /** `{audience}` in it stands for whom the bundle is for. */
      path: Type.String({ pattern: "^/[!-~]*$", maxLength: 1024, expected: "a path that starts with /, in printable ASCII without spaces" }),
      /** Host that the server is asked for; absent: the host name of the Backend's BackendTLSPolicy or of its first endpoint. */
      hostname: optional(PreciseHostname),
      interval: optional(Duration),
      timeout: optional(Duration),
    }),
  ),
});

export type BundleSpec = Static<typeof BundleSpec>;
