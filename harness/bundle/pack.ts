/** The policies of a folder as a bundle's payload: what one node's authz filter needs, and nothing of other nodes. */
import { audienceOf, composeEnvoy, type ComposeOptions, type Policies } from "../compose/index.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import type { Payload } from "./envelope.ts";

export interface PackOptions {
  node: string;
  version: number;
  /** Seconds since 1970. */
  expires: number;
  /** `<namespace>/<name>`; needed where the folder has several Gateways. */
  gateway?: string;
  compose?: Partial<ComposeOptions>;
}

export interface Packed {
  payload: Payload;
  /** `<namespace>/<name>` of those that apply to the node. */
  policies: string[];
  /** Warnings about them. */
  findings: Finding[];
}

/** No module is needed to say what is in its configuration. */
const NO_MODULES = { moduleDir: "", modules: "separate", capabilities: { authz: ["proxy_log"], canary: ["proxy_log"], telemetry: ["proxy_log"] } } as const;

/** @throws SelvedgeError with what is wrong with the policies, or when none applies to this node */
export function pack(policies: Policies, { node, version, expires, gateway, compose }: PackOptions): Packed {
  const { findings, bundled, gateways } = composeEnvoy(policies, { ...compose, ...NO_MODULES, signing: false, capabilities: { ...NO_MODULES.capabilities } as never });
  if (findings.some(({ severity }) => severity === "error")) throw new SelvedgeError(findings);
  const chosen = chooseGateway(gateways, gateway, policies.dir);
  const mine = bundled.find((each) => each.gateway === chosen);
  if (!mine) {
    throw new SelvedgeError({ code: "bundle-empty", severity: "error", message: "no AuthorizationPolicy applies to this node, so that it would allow everything", where: { file: policies.dir }, fix: "add one; an empty spec allows nothing" });
  }
  if (mine.refused.length > 0) {
    throw new SelvedgeError(mine.refused.map((policy): Finding => ({ code: "unsupported-field", severity: "error", message: "CUSTOM is not supported for connections in a signed bundle", where: policy.at(["spec", "action"]), fix: "narrow the policy with a selector or targetRefs to what HTTPRoutes lead to" })));
  }
  const authz = mine.config as Record<string, unknown>;
  return {
    payload: { version, expires, audience: [audienceOf(node, chosen, gateways.length)], authz },
    policies: (authz["policies"] as { metadata: { namespace: string; name: string } }[]).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    findings,
  };
}

function chooseGateway(gateways: string[], wanted: string | undefined, dir: string): string {
  const only = gateways.length === 1 ? gateways[0] : undefined;
  const chosen = wanted === undefined ? only : gateways.find((each) => each === wanted);
  if (chosen !== undefined) return chosen;
  throw new SelvedgeError({
    code: "bundle-gateway",
    severity: "error",
    message: wanted === undefined ? "the folder has several Gateways, and a bundle is for one of them" : `there is no Gateway ${wanted}`,
    where: { file: dir },
    expected: gateways.map((each) => `--gateway ${each}`).join(", "),
  });
}
