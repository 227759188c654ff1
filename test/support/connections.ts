/** A folder of policies for connections, and its PolicyTests. */
import { mutualGateway, policyOn, tcpRoute } from "./resources.ts";
import { backend, doc } from "../unit/compose/support.ts";

const named = (name: string): string => backend(name).replace("app: app", `app: ${name}`);

/** Listeners for connections, with and without TLS, routes and policies. @param rules of the policy on `db`, as YAML; one more asks for GET */
export const connections = (rules: string): string => doc(
  `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: { name: cert, namespace: prod, annotations: { selvedge.dev/directory: certs } }`,
  `apiVersion: v1
kind: ConfigMap
metadata: { name: cert, namespace: prod, annotations: { selvedge.dev/directory: certs } }`,
  mutualGateway(`- { name: db, port: 7001, protocol: TLS, hostname: db.test, tls: { certificateRefs: [{ name: cert }] } }
- { name: mail, port: 7001, protocol: TLS, hostname: mail.test, tls: { certificateRefs: [{ name: cert }] } }
- { name: plain, port: 7002, protocol: TCP }
- { name: empty, port: 7003, protocol: TCP }
- { name: open, port: 7004, protocol: TCP }`),
  ...["db", "mail", "plain", "open"].flatMap((name) => [named(name), tcpRoute(name)]),
  policyOn("db", `rules: [${rules}, { from: [{ source: { namespaces: [ops] } }], to: [{ operation: { methods: [GET] } }] }]`),
  policyOn("mail", "action: DENY, rules: [{ from: [{ source: { namespaces: [dev] } }], to: [{ operation: { methods: [POST] } }] }]"),
  policyOn("plain", "rules: [{ from: [{ source: { ipBlocks: [127.0.0.0/8], notRemoteIpBlocks: [10.9.0.0/16] } }] }]"),
);
/** A rule that names one workload. */
export const APP = "{ from: [{ source: { principals: [cluster.local/ns/prod/sa/app] } }] }";

/** What holds of {@link connections} with {@link APP}. */
export const CONNECTION_TESTS = `apiVersion: selvedge.dev/v1alpha1
kind: PolicyTest
metadata: { name: connections }
spec:
  cases:
    - { as: prod/app, to: prod/db, expect: allow, by: prod/db#0 }
    - { as: [dev/x, ops/x, prod/app2], to: prod/db, expect: deny, by: none }
    - { as: prod/app, port: 7001, sni: other.test, expect: refuse }
    - { as: dev/x, to: prod/mail, expect: deny, by: prod/mail#0 }
    - { as: [ops/x, dev2/x], to: prod/mail, expect: allow }
    - { port: 7002, expect: allow, by: prod/plain#0 }
    - { port: 7002, remoteIp: 10.9.2.3, expect: deny, by: none }
    - { port: 7002, ip: 10.1.2.3, expect: deny }
    - { port: 7003, expect: refuse }
    - { port: 7004, expect: allow, by: none }`;
