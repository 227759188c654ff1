/**
 * ExtensionProvider, selvedge.dev/v1alpha1: an external authorizer that CUSTOM policies name. The fields are those of
 * `extensionProviders` in Istio's MeshConfig, which has no kind of its own.
 */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Duration, HeaderName, listOf, NamespaceName, ObjectName, optional, Port, unsupported } from "./common.ts";

const HeaderPattern = Type.String({ pattern: "^(\\*?[A-Za-z0-9!#$%&'+\\-.^_\\x60|~]+|[A-Za-z0-9!#$%&'+\\-.^_\\x60|~]+\\*)$", expected: "a header name, or a prefix (x-*) or suffix (*-id) of one" });

const headers = () => optional(listOf(HeaderPattern, 64));

const Server = {
  /** Istio's: `[<namespace>/]<host>`, the host of a Service, for which a Backend of its name stands. */
  service: optional(Type.String({ minLength: 1 })),
  port: optional(Port),
  backendRef: optional(closed({ group: optional(Type.String()), kind: optional(Type.String()), name: ObjectName, namespace: optional(NamespaceName), port: optional(Port) })),
  timeout: optional(Duration),
  failOpen: optional(Type.Boolean()),
  clearRouteCache: optional(Type.Literal(false, { expected: "false: what was authorized must be what is routed" })),
  statusOnError: optional(Type.String({ pattern: "^[45]\\d\\d$", expected: 'a status from "400" to "599", in quotes' })),
  includeRequestBodyInCheck: optional(
    closed({
      maxRequestBytes: optional(Type.Integer({ minimum: 1, maximum: 1_048_576, expected: "from 1 to 1048576 bytes" })),
      allowPartialMessage: optional(Type.Boolean()),
      packAsBytes: optional(Type.Boolean()),
    }),
  ),
};

const Grpc = closed(Server);

const Http = closed({
  ...Server,
  pathPrefix: optional(Type.String({ pattern: "^/", maxLength: 1024, expected: "a path that starts with /" })),
  includeRequestHeadersInCheck: headers(),
  includeHeadersInCheck: unsupported("the deprecated name of includeRequestHeadersInCheck"),
  includeAdditionalHeadersInCheck: optional(Type.Record(HeaderName, Type.String({ maxLength: 4096 }))),
  headersToUpstreamOnAllow: headers(),
  headersToDownstreamOnAllow: headers(),
  headersToDownstreamOnDeny: headers(),
});

export const ProviderSpec = closed({ envoyExtAuthzGrpc: optional(Grpc), envoyExtAuthzHttp: optional(Http) });

export type ProviderSpec = Static<typeof ProviderSpec>;
export type GrpcProvider = Static<typeof Grpc>;
export type HttpProvider = Static<typeof Http>;
