/** Tokens, from RequestAuthentication to the decision: signed for real, verified by a real Envoy and by the host engine, matched by the real filter. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { issuer } from "../support/tokens.ts";
import { pathRoute, policyOn, workload } from "../support/resources.ts";
import { doc, folder, GATEWAY } from "../unit/compose/support.ts";
import { askBoth, startBoth, type Engines, type Reply } from "./fixtures/engines.ts";

const idp = issuer("idp");
const partner = issuer("partner");
const remote = issuer("remote");
const stranger = issuer("idp");
const hour = 3600;
const now = Math.floor(Date.now() / 1000);
const claims = { iss: "https://idp", sub: "alice", aud: "shop", exp: now + hour };

const scratch = temporaryDirectory("jwt");
let servers: Server[] = [];
let engines: Engines;
let ports: [number, number];
let keysFetched = 0;

/** Each path asks for something else of the token. */
const RULES: Record<string, string> = {
  "/any": "from: [{ source: { requestPrincipals: ['*'] } }]",
  "/exact": "from: [{ source: { requestPrincipals: ['https://idp/alice'] } }]",
  "/issuer": "from: [{ source: { requestPrincipals: ['https://idp/*'] } }]",
  "/subject": "from: [{ source: { requestPrincipals: ['*/bob'] } }]",
  "/nobody": "from: [{ source: { notRequestPrincipals: ['*'] } }]",
  "/principal": "when: [{ key: request.auth.principal, values: ['https://idp/al*'] }]",
  "/audiences": "when: [{ key: request.auth.audiences, values: [shop] }]",
  "/presenter": "when: [{ key: request.auth.presenter, values: [app] }]",
  "/role": "when: [{ key: 'request.auth.claims[role]', values: [admin] }]",
  "/some-role": "when: [{ key: 'request.auth.claims[role]', values: ['*'] }]",
  "/not-role": "when: [{ key: 'request.auth.claims[role]', notValues: [guest] }]",
  "/number": `when: [{ key: 'request.auth.claims[role]', values: [${JSON.stringify("ABCDEFGH")}] }]`,
  "/nested": "when: [{ key: 'request.auth.claims[realm][roles]', values: [admin] }]",
  "/indexed": "when: [{ key: 'request.auth.claims[realm][0]', values: [admin] }]",
  "/scope": "when: [{ key: 'request.auth.claims[scope]', values: [write] }]",
  "/teams": "when: [{ key: 'request.auth.claims[teams]', values: [blue] }]",
  "/quoted": "when: [{ key: 'request.auth.claims[a\"\\b]', values: [x] }]",
  "/metadata": "when: [{ key: 'experimental.envoy.filters.http.jwt_authn[payload]', values: [x] }]",
};

const policies = (upstream: number, keys: number): string => doc(
  GATEWAY,
  workload("shop", upstream), workload("open", upstream), pathRoute({ "/open": "open", "/": "shop" }),
  `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: shop, namespace: prod }
spec:
  selector: { matchLabels: { app: shop } }
  jwtRules:
    - issuer: https://idp
      audiences: [shop]
      jwks: '${idp.jwks}'
      forwardOriginalToken: true
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-sub, claim: sub }]
      spaceDelimitedClaims: [teams]
    - { issuer: partner, jwks: '${partner.jwks}', fromHeaders: [{ name: x-partner, prefix: "Token " }], fromCookies: [session] }
    - { issuer: remote, jwksUri: "http://127.0.0.1:${keys}/jwks.json", fromParams: [token] }`,
  policyOn("shop", `rules: [${Object.entries(RULES).map(([path, rule]) => `{ to: [{ operation: { paths: [${path}] } }], ${rule} }`).join(", ")}]`),
  policyOn("open", 'action: DENY, rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }]'),
);

const listening = async (server: Server): Promise<number> => {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
};

beforeAll(async () => {
  const upstream = await listening(createServer({ maxHeaderSize: 200_000 }, (incoming, answer) => answer.end(JSON.stringify(incoming.headers))));
  const keys = await listening(createServer((_, answer) => {
    keysFetched++;
    answer.end(remote.jwks);
  }));
  const { path } = await buildFilter({ entry: "filters/edge/assembly/index.ts", outDir: scratch.path });
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": policies(upstream, keys) })), {
    moduleDir: scratch.path, modulePaths: { edge: path }, adminPort: null,
  });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(findings.map(({ code }) => code)).toContain("authentication-remote-keys");
  engines = await startBoth(config);
  ports = await engines.ports("prod/gw/8080");
  await vi.waitFor(() => expect(keysFetched).toBeGreaterThan(1), { timeout: 10_000 });
}, 180_000);

afterAll(async () => {
  await engines?.stop();
  for (const server of servers) server.close();
  servers = [];
  scratch.remove();
});

const ask = (path: string, headers: Record<string, string | string[]> = {}, method = "GET"): Promise<Reply> => askBoth(ports, path, { headers, method });
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const status = async (path: string, more?: object): Promise<number> =>
  (await ask(path, more === undefined ? {} : bearer(idp.token({ ...claims, ...more })))).status;

describe("a token", () => {
  it.each<[string, string, Record<string, string>, number]>([
    ["that is valid", "/any", bearer(idp.token(claims)), 200],
    ["none: the request goes on, without claims", "/any", {}, 403],
    ["none, where that is asked for", "/nobody", {}, 200],
    ["where none may be", "/nobody", bearer(idp.token(claims)), 403],
    ["that has expired", "/any", bearer(idp.token({ ...claims, exp: now - hour })), 401],
    ["that is not valid yet", "/any", bearer(idp.token({ ...claims, nbf: now + hour })), 401],
    ["for another audience: Envoy answers 403", "/nobody", bearer(idp.token({ ...claims, aud: "other" })), 403],
    ["of another issuer", "/any", bearer(idp.token({ ...claims, iss: "https://evil" })), 401],
    ["signed by another key of the same name", "/any", bearer(stranger.token(claims)), 401],
    ["without signature", "/any", bearer(`${idp.token(claims, { alg: "none" }).split(".").slice(0, 2).join(".")}.`), 401],
    ["that is no token", "/any", bearer("x"), 401],
    ["refused even where none may be", "/nobody", bearer(stranger.token(claims)), 401],
    ["by a header of its own", "/any", { "x-partner": `Token ${partner.token({ iss: "partner", sub: "p" })}` }, 200],
    ["by a cookie", "/any", { cookie: `session=${partner.token({ iss: "partner", sub: "p" })}` }, 200],
    ["of one issuer at the place of another", "/any", bearer(partner.token({ iss: "partner", sub: "p" })), 401],
    ["by a parameter, with keys that were fetched", `/any?token=${remote.token({ iss: "remote", sub: "r" })}`, {}, 200],
    ["by a parameter that no rule names", `/any?access=${idp.token(claims)}`, {}, 403],
  ])("%s", async (_, path, headers, expected) => expect((await ask(path, headers)).status).toBe(expected));

  it("concerns only the workloads that a RequestAuthentication selects", async () => {
    expect((await ask("/open", bearer(stranger.token(claims)))).status).toBe(200);
  });

  it("becomes headers as asked, which clients can't write", async () => {
    const { body } = await ask("/any", { ...bearer(idp.token(claims)), "x-sub": "root", "x-payload": "e30" });
    const seen = JSON.parse(body) as Record<string, string>;
    expect(seen).toMatchObject({ "x-sub": "alice", authorization: /^Bearer / });
    expect(JSON.parse(Buffer.from(seen["x-payload"]!, "base64url").toString())).toEqual(claims);
    expect(JSON.parse((await ask("/nobody", { "x-sub": "root", "x-payload": "e30" })).body)).not.toHaveProperty("x-payload");
  });
});

/** A number whose bytes spell a text. */
const spelling = (text: string): number => Buffer.from(text, "latin1").readDoubleLE();

describe("claims", () => {
  it.each<[string, string, object, number]>([
    ["issuer and subject", "/exact", {}, 200],
    ["another subject", "/exact", { sub: "alice2" }, 403],
    ["a subject with the issuer's slash", "/exact", { sub: "/alice" }, 403],
    ["any subject of an issuer", "/issuer", { sub: "x/y" }, 200],
    ["an empty subject is none", "/issuer", { sub: "" }, 403],
    ["no subject is none", "/any", { sub: undefined }, 403],
    ["a subject of any issuer", "/subject", { sub: "bob" }, 200],
    ["a prefix of the subject", "/principal", {}, 200],
    ["an audience", "/audiences", {}, 200],
    ["one of several audiences", "/audiences", { aud: ["x", "shop"] }, 200],
    ["the presenter", "/presenter", { azp: "app" }, 200],
    ["another presenter", "/presenter", { azp: "app2" }, 403],
    ["a string", "/role", { role: "admin" }, 200],
    ["a list", "/role", { role: ["guest", "admin"] }, 200],
    ["a list with other types and null", "/role", { role: [null, 7, true, ["admin"], { admin: 1 }, "admin"] }, 200],
    ["a list within a list", "/role", { role: [["admin"]] }, 403],
    ["a string that looks like a list", "/role", { role: '["admin"]' }, 403],
    ["a string of the bytes of a list", "/role", { role: "\x01\0\0\0\x05\0\0\0\0\0\0\0admin\0\0" }, 403],
    ["an object with an index", "/role", { role: { 0: "admin" } }, 403],
    ["an object with the value as a key", "/role", { role: { admin: "" } }, 403],
    ["a string with spaces is not split", "/role", { role: "guest admin" }, 403],
    ["presence: a string", "/some-role", { role: "x" }, 200],
    ["presence: an empty string", "/some-role", { role: "" }, 403],
    ["presence: a number", "/some-role", { role: 7 }, 403],
    ["presence: a boolean", "/some-role", { role: true }, 403],
    ["presence: an empty list", "/some-role", { role: [] }, 403],
    ["presence: a list of numbers", "/some-role", { role: [1, 2] }, 403],
    ["presence: an object", "/some-role", { role: { x: "y" } }, 403],
    ["presence: null", "/some-role", { role: null }, 403],
    ["a negation holds without the claim", "/not-role", {}, 200],
    ["a negation", "/not-role", { role: ["admin", "guest"] }, 403],
    ["a number whose bytes are the value", "/number", { role: spelling("ABCDEFGH") }, 403],
    ["such a number in a list", "/number", { role: [spelling("ABCDEFGH")] }, 403],
    ["the very string", "/number", { role: "ABCDEFGH" }, 200],
    ["a nested claim", "/nested", { realm: { roles: ["admin"] } }, 200],
    ["a claim with brackets in its name is no nested one", "/nested", { "realm][roles": "admin" }, 403],
    ["a claim with a dot is no nested one", "/nested", { "realm.roles": "admin" }, 403],
    ["a key that is a number", "/indexed", { realm: { 0: "admin" } }, 200],
    ["an index into a list", "/indexed", { realm: ["admin"] }, 403],
    ["scopes are split at spaces", "/scope", { scope: "read write" }, 200],
    ["claims that the policy names are, too", "/teams", { teams: "red blue" }, 200],
    ["a name with a quote and a backslash", "/quoted", { 'a"\\b': "x" }, 200],
    ["the whole payload is no string", "/metadata", {}, 403],
    ["a long list", "/role", { role: [...Array.from({ length: 2000 }, (_, i) => `r${i}`), "admin"] }, 200],
    ["a long list of other types", "/role", { role: [...Array.from({ length: 2000 }, (_, i) => i), "admin"] }, 200],
  ])("%s", async (_, path, more, expected) => expect(await status(path, more)).toBe(expected));

  it("aren't taken from headers, cookies or the query", async () => {
    const headers = { "x-payload": Buffer.from(JSON.stringify({ ...claims, role: "admin" })).toString("base64url"), "x-sub": "alice", cookie: "role=admin" };
    expect((await ask("/role?role=admin", headers)).status).toBe(403);
    expect((await ask("/exact", headers)).status).toBe(403);
    expect((await ask("/role", { ...headers, ...bearer(idp.token(claims)) })).status).toBe(403);
  });

  it("aren't needed for a preflight, which gets none either", async () => {
    const preflight = { origin: "https://a", "access-control-request-method": "GET" };
    expect((await ask("/any", preflight, "OPTIONS")).status).toBe(403);
  });
});
