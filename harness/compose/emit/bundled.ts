/** What a signed bundle for one Gateway carries: one text from which its filters of requests and of connections each take their part. */
import { rulesOf } from "../resolve/index.ts";
import type { Resource } from "../load.ts";
import { attaches, gatewaySubject, resolveWorkloads, tcpSubject, workloadName } from "../resolve/attachment.ts";
import type { GatewayModel, Model } from "../resolve/model.ts";
import { providerOf } from "../resolve/providers.ts";
import { tcpListeners } from "../resolve/tcp.ts";
import { Report } from "../report.ts";
import { clean, type Config } from "./config.ts";
import { attached, policyConfig, policyPart, workloadConfig, type PluginOptions } from "./plugins.ts";
import { signedPart } from "./signing.ts";

export interface Bundled {
  /** `<namespace>/<name>` of the Gateway. */
  gateway: string;
  config: Config;
  /** CUSTOM policies that connections would be held against: the filter takes no bundle with one. */
  refused: Resource<"AuthorizationPolicy">[];
}

/** The policies that hold for the Gateway or what is behind it, and all that they attach to. Without any policy: undefined. */
export function bundled(gateway: GatewayModel, model: Model, options: PluginOptions): Bundled | undefined {
  const rules = rulesOf(gateway);
  const self = gatewaySubject(gateway);
  const workloads = resolveWorkloads(rules, model.policies, options.rootNamespace, new Report());
  const connections = tcpListeners(gateway).flatMap(({ listener, route }) => {
    const backend = route.arms[0]?.backend;
    return backend ? [{ name: `${backend.namespace}/${workloadName(backend)}`, ...tcpSubject(route.resource, backend), listeners: [listener.name] }] : [];
  });
  const policies = attached(gateway, [self, ...workloads, ...connections], model, options);
  if (policies.length === 0) return undefined;
  // Every route is named, since a route that isn't is denied: also those that lead nowhere, which the node itself answers.
  const answered = rules.filter(({ id }) => !workloads.some(({ routes }) => routes.includes(id))).map(({ id }) => id);
  const config = clean({
    ...signedPart(policyPart(gateway, { ...self, targets: [] }, options)),
    workloads: [
      ...workloads.map(workloadConfig),
      ...(answered.length > 0 ? [{ name: gateway.resource.id, namespace: self.namespace, labels: self.labels, routes: answered }] : []),
      ...connections,
    ],
    policies: policies.map(policyConfig),
  });
  const refused = policies.filter((policy) => providerOf(policy) !== undefined && connections.some((each) => attaches(policy, each, options.rootNamespace)));
  return { gateway: gateway.resource.id, config, refused };
}
