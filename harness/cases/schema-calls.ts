/** Clusters that a filter calls out to: what they answer, and which calls a case expects. */
import { Type, type Static } from "@sinclair/typebox";
import { AnsweredBody, closed, Duration, ExpectedHeaders, GrpcAnswer, Headers, Messages, optional, Status } from "./schema-parts.ts";

const When = closed(
  {
    method: optional(Type.String()),
    path: optional(Type.String()),
    headers: optional(ExpectedHeaders),
    rpc: optional(Type.String({ description: "package.Service/Method" })),
  },
  { description: "Calls that this answer is for; all unless given" },
);

const CallAnswer = closed(
  {
    when: optional(When),
    status: optional(Status),
    headers: optional(Headers),
    body: optional(AnsweredBody),
    trailers: optional(Headers),
    delay: optional(Duration),
    fail: optional(Type.Union([Type.Literal("connect"), Type.Literal("reset"), Type.Literal("timeout")], { expected: "connect, reset or timeout", description: "Nobody listens; the connection breaks before the answer; no answer ever comes" })),
    grpc: optional(GrpcAnswer),
  },
  { description: "What a cluster answers to a callout; 200 and an empty body unless given" },
);

export const Clusters = Type.Record(Type.String(), Type.Union([CallAnswer, Type.Array(CallAnswer, { minItems: 1 })], { expected: "an answer, or a list of answers" }), {
  description: "Clusters that the filter may call out to, with what they answer. Of a list, each answer serves once and the last one from then on; those with `when` serve only the calls that fit.",
});

const ExpectedCall = closed({
  cluster: optional(Type.String()),
  method: optional(Type.String()),
  path: optional(Type.String()),
  headers: optional(ExpectedHeaders),
  body: optional(Type.String()),
  "body-contains": optional(Type.String()),
  trailers: optional(ExpectedHeaders),
  rpc: optional(Type.String({ description: "package.Service/Method of a gRPC call" })),
  messages: optional(Messages),
  count: optional(Type.Integer({ minimum: 1, expected: "a number of calls, 1 or more", description: "That many such calls, one after another" })),
});

export const Calls = Type.Union([Type.Array(ExpectedCall), closed({ "any-order": Type.Array(ExpectedCall) })], {
  expected: "a list of calls in their order ([]: none), or { any-order: [ … ] }",
  description: "All calls that the filter made in this step",
});

export type ClustersSpec = Static<typeof Clusters>;
export type CallAnswerSpec = Static<typeof CallAnswer>;
export type ExpectedCallSpec = Static<typeof ExpectedCall>;
export type CallsSpec = Static<typeof Calls>;
