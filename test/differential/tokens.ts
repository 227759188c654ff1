/** Tokens as callers send them: of several issuers, valid or not, at the places where their providers look; and Envoy's `jwt_authn` for them, as istiod emits it. */
import { extension, type Config } from "../../harness/compose/emit/config.ts";
import type { Json } from "../../harness/host/proto.ts";
import { issuer as makeIssuer, type Issuer } from "../support/tokens.ts";
import type { Nearby, Random } from "../unit/authz/near.ts";

const SPACE_DELIMITED = ["permission", "scope"];

interface Provider {
  /** Istio requires one; the last has none, so that tokens without `iss`, or with any, are looked at too. */
  issuer: string;
  /** undefined: Envoy's usual places. */
  header?: { name: string; prefix: string };
  keys: Issuer;
}

export class Tokens {
  /** Their keys are this run's own. */
  private readonly providers: Provider[] = [
    { issuer: "https://idp", keys: makeIssuer("k0") },
    { issuer: "https://idp/a", keys: makeIssuer("k1") },
    { issuer: "idp", header: { name: "x-idp", prefix: "Token " }, keys: makeIssuer("k2") },
    { issuer: "", header: { name: "x-any", prefix: "" }, keys: makeIssuer("k3") },
  ];
  private readonly stranger = makeIssuer("k0");

  /** istiod's convertToEnvoyJwtConfig. */
  filter(): Config {
    const named = this.providers.map((_, index): Config => ({ provider_name: `origins-${index}` }));
    const each = named.map((provider): Config => ({ requires_any: { requirements: [provider, { allow_missing: {} }] } }));
    return extension("envoy.filters.http.jwt_authn", "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", {
      providers: Object.fromEntries(this.providers.map(({ issuer, header, keys }, index) => [`origins-${index}`, {
        issuer,
        local_jwks: { inline_string: keys.jwks },
        ...(header && { from_headers: [{ name: header.name, value_prefix: header.prefix }] }),
        payload_in_metadata: "payload",
        normalize_payload_in_metadata: { space_delimited_claims: SPACE_DELIMITED },
      }])),
      rules: [{ match: { prefix: "/" }, requires: { requires_any: { requirements: [...named, { requires_all: { requirements: each } }] } } }],
      bypass_cors_preflight: true,
    });
  }

  /** Headers with tokens, and the payload that Envoy is to take from them: undefined where there is none, or none is valid. */
  headers(nearby: Nearby, random: Random): { headers: [string, string][]; payload: Record<string, Json> | undefined } {
    const headers: [string, string][] = [];
    let payload: Record<string, Json> | undefined;
    this.providers.forEach((provider, index) => {
      // Of the two that share a place, one.
      if (random.once(index === 3 ? 2 : 3) || headers.length > (index === 1 ? 0 : 1)) return;
      const claims = nearby.token();
      if (provider.issuer !== "" && !random.once(30)) claims["iss"] = provider.issuer;
      const valid = !random.once(20);
      const token = valid ? provider.keys.token(claims) : this.spoiled(provider, claims, random);
      const acceptable = isText(claims, "iss") && isText(claims, "sub") && isAudience(claims["aud"]) && (provider.issuer === "" || claims["iss"] === provider.issuer);
      if (valid && acceptable) payload ??= normalized(claims);
      headers.push(provider.header ? [provider.header.name, provider.header.prefix + token] : ["authorization", `Bearer ${token}`]);
    });
    return { headers, payload };
  }

  private spoiled({ keys }: Provider, claims: Record<string, Json>, random: Random): string {
    const token = keys.token(claims);
    const now = Math.floor(Date.now() / 1000);
    switch (random.below(7)) {
      case 0: return this.stranger.token(claims);
      case 1: return keys.token({ ...claims, exp: now - 7_200 });
      case 2: return keys.token({ ...claims, nbf: now + 7_200 });
      case 3: return `${keys.token(claims, { alg: "none" }).split(".").slice(0, 2).join(".")}.`;
      case 4: return token.slice(0, -4);
      case 5: return token.replace(/\..*\./, (middle) => `${middle.slice(0, -3)}x.`);
      default: return random.pick(["x", "a.b.c", ""]);
    }
  }
}

// Envoy refuses a token in which these are anything else.
const isText = (claims: Record<string, Json>, name: string): boolean => claims[name] === undefined || typeof claims[name] === "string";
const isAudience = (aud: Json | undefined): boolean => aud === undefined || typeof aud === "string" || (Array.isArray(aud) && aud.every((each) => typeof each === "string"));

function normalized(claims: Record<string, Json>): Record<string, Json> {
  const words = (text: string): string[] => text.split(" ").filter((word) => word !== "");
  // An empty string stays one.
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, SPACE_DELIMITED.includes(name) && typeof value === "string" && value !== "" ? words(value) : value]));
}
