/** RequestAuthentication, security.istio.io/v1 (v1beta1 has the same fields). */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Duration, HeaderName, listOf, optional, Selector, TargetRef } from "./common.ts";

const text = (expected?: string) => Type.String({ minLength: 1, ...(expected === undefined ? {} : { expected }) });

const JwtRule = closed({
  issuer: text("the token's issuer, its claim `iss`"),
  audiences: optional(Type.Array(text())),
  jwks: optional(text("a JSON Web Key Set as text")),
  jwksUri: optional(text("the https URL of a JSON Web Key Set")),
  fromHeaders: optional(listOf(closed({ name: HeaderName, prefix: optional(Type.String()) }), 16)),
  fromParams: optional(listOf(text(), 16)),
  fromCookies: optional(listOf(text(), 16)),
  outputPayloadToHeader: optional(HeaderName),
  forwardOriginalToken: optional(Type.Boolean()),
  outputClaimToHeaders: optional(listOf(closed({ header: HeaderName, claim: text() }), 64)),
  timeout: optional(Duration),
  spaceDelimitedClaims: optional(Type.Array(text(), { maxItems: 64 })),
});

export const RequestAuthenticationSpec = closed({
  selector: optional(Selector),
  targetRef: optional(TargetRef),
  targetRefs: optional(Type.Array(TargetRef, { minItems: 1, maxItems: 16 })),
  jwtRules: optional(Type.Array(JwtRule, { maxItems: 4096 })),
});

export type JwtRule = Static<typeof JwtRule>;
