/** Parts of the case format that several places share. */
import { Type, type ObjectOptions, type Static, type TProperties } from "@sinclair/typebox";

export const closed = <T extends TProperties>(properties: T, options: ObjectOptions = {}) => Type.Object(properties, { ...options, additionalProperties: false });
export const optional = Type.Optional;

export const texts = (expected: string, description?: string) => Type.Union([Type.String(), Type.Array(Type.String())], { expected, description });
export const Duration = Type.String({ pattern: "^[0-9]+(ms|s)$", expected: "a duration such as 50ms or 2s" });
export const Status = Type.Integer({ minimum: 100, maximum: 599, expected: "a status, 100 to 599" });
const NameValue = Type.Tuple([Type.String(), Type.String()]);
export const Headers = Type.Union([Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())], { expected: "a text, or a list of texts" })), Type.Array(NameValue)], {
  expected: "names with values (text in quotes where YAML sees a number), a list of values for a repeated header; or a list of [name, value]",
});
export const ExpectedHeaders = Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()], { expected: "a text, a list of texts, or null for a header that must be absent" }));

const Wait = closed({ wait: Duration }, { description: "A pause before the next chunk" });
const Break = closed({ reset: Type.Literal(true, { expected: "true" }) }, { description: "The connection breaks here" });

/** What a client sends: chunks, with pauses where it makes some. */
export const SentBody = Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), Wait], { expected: "a text, or { wait: 50ms }" }))], {
  expected: "a text, or a list of texts: the chunks in which it is sent; { wait: 50ms } between them is a pause",
});
/** What a server sends: it can also break off. */
export const AnsweredBody = Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), Wait, Break], { expected: "a text, { wait: 50ms }, or { reset: true }" }))], {
  expected: "a text, or a list of texts: the chunks in which it is sent; { wait: 50ms } between them is a pause, { reset: true } breaks off",
});

const Message = Type.Union([Type.String(), closed({ hex: Type.String({ pattern: "^([0-9a-fA-F]{2})*$", expected: "pairs of hexadecimal digits" }) })], { expected: "a text, or { hex: 0a02… } for bytes" });
export const Messages = Type.Union([Message, Type.Array(Message)], { expected: "a message (a text, or { hex: 0a02… }), or a list of them" });
export const GrpcCode = Type.Integer({ minimum: 0, maximum: 16, expected: "a gRPC status, 0 to 16" });

/** A server's gRPC answer, also that of a cluster that a filter calls. */
export const GrpcAnswer = closed(
  {
    messages: optional(Messages),
    status: optional(GrpcCode),
    message: optional(Type.String({ description: "Text of the status" })),
    metadata: optional(Headers),
    trailers: optional(Headers),
  },
  { description: "An answer in gRPC: messages, then status and trailers; status 0 unless given" },
);

/** Who sends, and where to: of a request as of a connection. */
export const SENDER = {
  peer: optional(texts("a SPIFFE ID, or a list of URI SANs", "URI SANs of the client's certificate; none, and without mutual TLS, unless given. [] is a certificate without any.")),
  sni: optional(Type.String({ description: "Server name in the TLS handshake; implies TLS" })),
  tls: optional(Type.Boolean({ description: "TLS also without a client certificate" })),
  source: optional(Type.String({ description: "Client's address as Envoy determined it, e.g. 10.1.2.3; 127.0.0.1 unless given" })),
  direct: optional(Type.String({ description: "Address of the physical peer, in 127.0.0.0/8; the source if that is, else 127.0.0.1" })),
  destination: optional(Type.String({ pattern: ":[0-9]+$", expected: "address:port", description: "Address and port that the client connected to, e.g. 10.0.0.9:8443" })),
};

export const Protocol = Type.Union([Type.Literal("http1"), Type.Literal("http2")], { expected: "http1 or http2" });

export type MessageSpec = Static<typeof Message>;
export type HeadersSpec = Static<typeof Headers>;
export type GrpcAnswerSpec = Static<typeof GrpcAnswer>;
export type AnsweredBodySpec = Static<typeof AnsweredBody>;
