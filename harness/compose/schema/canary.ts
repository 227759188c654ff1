/** CanaryPolicy, selvedge.dev/v1alpha1: what no standard kind says about a weighted HTTPRoute rule. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, HeaderName, listOf, ObjectName, optional } from "./common.ts";

const Key = closed({
  header: optional(HeaderName),
  cookie: optional(Type.String({ minLength: 1, maxLength: 256 })),
  principal: optional(Type.Literal(true)),
  sourceIP: optional(Type.Literal(true)),
});

export const CanarySpec = closed({
  targetRef: closed({
    group: Type.String(),
    kind: Type.String(),
    name: ObjectName,
    /** A rule's name; without it the policy holds for every rule of the route that splits traffic. */
    sectionName: optional(ObjectName),
  }),
  /** The backend everyone gets when there is no key or no filter. Default: the largest weight. */
  stable: optional(ObjectName),
  stickiness: optional(
    closed({
      /** Tried in order; a request that has none of them gets the stable arm. */
      keys: listOf(Key, 8),
      /** Changes who is among the first; default the rollout's id, so each rollout has other first users. */
      salt: optional(Type.String({ minLength: 1, maxLength: 256 })),
    }),
  ),
});

export type CanarySpec = Static<typeof CanarySpec>;
export type StickyKey = Static<typeof Key>;
