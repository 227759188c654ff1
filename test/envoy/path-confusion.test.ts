/**
 * Paths written so that policies and backends might read them differently, sent raw to a node that compose made. Behind it is a
 * backend that reads paths in every careless way at once: nothing that it could take for a denied path may reach it.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { findEnvoy, startEnvoy, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { exchange } from "../differential/client.ts";
import { disguises, naiveReadings } from "../support/naive-paths.ts";
import { authorization, backend, doc, folder, gateway, ref, route } from "../unit/compose/support.ts";

const deny = (operation: string): string => `action: DENY\nrules: [{ to: [{ operation: { ${operation} } }] }]`;
const allow = (operation: string): string => `action: ALLOW\nrules: [{ to: [{ operation: { ${operation} } }] }]`;
const under = (path: string, prefix: string): boolean => path === prefix || path.startsWith(`${prefix}/`);

/** A policy → which paths it keeps from the backend, if the backend read them so; and where it leads. */
const POLICIES: Record<string, { spec: string; denied: (path: string) => boolean; targets: [string, string][] }> = {
  "deny-prefix": { spec: deny('paths: ["/admin", "/admin/*"]'), denied: (path) => under(path, "/admin"), targets: [["admin", "x"], ["admin", "secret"]] },
  "deny-exact": { spec: deny('paths: ["/admin/x"]'), denied: (path) => path === "/admin/x", targets: [["admin", "x"]] },
  "deny-suffix": { spec: deny('paths: ["*/secret"]'), denied: (path) => path.endsWith("/secret"), targets: [["admin", "secret"], ["files", "secret"]] },
  "deny-template": { spec: deny('paths: ["/admin/{**}", "/t/{*}/x"]'), denied: (path) => path.startsWith("/admin/") || /^\/t\/[^/]+\/x$/.test(path), targets: [["admin", "x"], ["t", "a*b/x"], ["t", "y/x"]] },
  "deny-not-paths": { spec: deny('notPaths: ["/public/*"]'), denied: (path) => !path.startsWith("/public/"), targets: [["admin", "x"], ["files", "x"]] },
  "deny-escaped": { spec: deny('paths: ["/caf%C3%A9", "/caf%C3%A9/*"]'), denied: (path) => under(path, "/caf\xc3\xa9"), targets: [["caf%C3%A9", "x"], ["caf%c3%a9", "x"], ["caf%C3%a9", "x"], ["%63af%c3%A9", "x"]] },
  "allow-not-paths": { spec: allow('paths: ["/files/*"], notPaths: ["/files/@x", "/files/@x/*", "/files/a b"]'), denied: (path) => !path.startsWith("/files/") || under(path, "/files/@x") || path === "/files/a b", targets: [["files", "@x"], ["files", "a%20b"], ["admin", "x"]] },
  "allow-prefix": { spec: allow('paths: ["/public/*"]'), denied: (path) => !path.startsWith("/public/"), targets: [["admin", "x"]] },
  "allow-exact": { spec: allow('paths: ["/public/page"]'), denied: (path) => path !== "/public/page", targets: [["admin", "x"], ["public", "page"], ["public", "other"]] },
  "allow-suffix": { spec: allow('paths: ["*.css"]'), denied: (path) => !path.endsWith(".css"), targets: [["admin", "x"], ["public", "page"]] },
  "allow-template": { spec: allow('paths: ["/files/{*}"]'), denied: (path) => !/^\/files\/[^/]+$/.test(path), targets: [["admin", "x"], ["files", "x"]] },
};

/** What people do write, and what must get through. */
const LEGITIMATE: Record<string, string[]> = {
  "deny-prefix": ["/", "/public", "/public/a;v=1/b", "/public;jsessionid=1", "/100%25", "/a%20b", "/%C3%BC", "/a*b", "/.well-known/x", "/a'(b)!$&,+=:@c", "/search?q=/admin/x", "/administration", "/x/admin", "/C%23"],
  "deny-exact": ["/admin/y", "/admin/x/y"],
  "deny-suffix": ["/secret/x", "/asecret"],
  "deny-template": ["/admin", "/t/x", "/t/a/b/x", "/public/a*b"],
  "deny-not-paths": ["/public/a%20b", "/public/%E4%BD%A0", "/public/a;v=1", "/public/C%23", "/public/a*b"],
  "deny-escaped": ["/caf", "/caf%C3%AA", "/public/caf%C3%A9"],
  "allow-not-paths": ["/files/a%20c", "/files/x@x", "/files/%C3%BC", "/files/a*b", "/files/b;v=1"],
  "allow-prefix": ["/public/a%20b", "/public/%E4%BD%A0", "/public/a;v=1/b", "/public/a*b", "/public/C%23", "/public/100%25", "/public/.well-known", "/public/a[1]?b=c"],
  "allow-exact": ["/public/page", "/public/page?x=1"],
  "allow-suffix": ["/a.css", "/a%20b.css", "/x;v=1/a.css"],
  "allow-template": ["/files/a%20b", "/files/%C3%BC", "/files/a*b"],
};

const arrived: { host: string; target: string }[] = [];
let upstream: Server;
let envoy: RunningEnvoy;
let port: number;

/** Answers each request head, whatever its target is: Node's own server would refuse what is of interest. */
function answer(socket: Socket): void {
  let buffer = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    buffer += chunk.toString("latin1");
    for (let end = buffer.indexOf("\r\n\r\n"); end >= 0; end = buffer.indexOf("\r\n\r\n")) {
      const [line, ...fields] = buffer.slice(0, end).split("\r\n");
      buffer = buffer.slice(end + 4);
      const host = fields.find((field) => /^host:/i.test(field))!.slice("host:".length).trim();
      arrived.push({ host, target: line!.replace(/^\S+ /, "").replace(/ HTTP\/1\.1$/, "") });
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
  });
}

beforeAll(async () => {
  upstream = createServer(answer);
  await new Promise<void>((done) => upstream.listen(0, "127.0.0.1", done));
  const own = String((upstream.address() as AddressInfo).port);
  const names = Object.keys(POLICIES);
  const documents = [
    gateway("listeners: [{ name: http, port: 18080, protocol: HTTP }]"),
    ...names.flatMap((name) => [
      backend(name, `app: ${name}`).replace("9000", own),
      route(`- backendRefs: [${ref(name)}]`, name, `hostnames: [${name}.test]`),
      authorization(`selector: { matchLabels: { app: ${name} } }\n${POLICIES[name]!.spec}`, `name: ${name}, namespace: prod`),
    ]),
  ];
  const dir = folder({ "policies.yaml": doc(...documents) });
  const { config, findings } = composeEnvoy(loadPolicies(dir), { moduleDir: join(packageRoot, "dist"), adminPort: null });
  if (!config) throw new Error(JSON.stringify(findings));
  const text = JSON.stringify(config).replace('"port_value":18080', '"port_value":0');
  envoy = await startEnvoy({ config: JSON.parse(text) as never, envoy: await findEnvoy(), logLevel: "warning" });
  port = (await envoy.admin.listeners())[0]!.port;
});
afterAll(async () => {
  await envoy?.stop();
  upstream?.close();
});

/** Each on a connection of its own, as many at once as Envoy and we bear; redirects are followed. */
async function sendAll(name: string, paths: readonly string[], http2: boolean): Promise<Map<string, number | undefined>> {
  const statuses = new Map<string, number | undefined>();
  const queue = [...paths];
  const known = new Set(queue);
  const work = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const { answers: [got] } = await exchange({ port, direct: "127.0.0.1", http2 }, [{ method: "GET", path, host: `${name}.test`, headers: [] }]);
      statuses.set(path, got?.status);
      const location = got?.headers["location"];
      const next = location?.replace(/^https?:\/\/[^/]*/, "");
      if (next !== undefined && !known.has(next)) {
        known.add(next);
        queue.push(next);
      }
    }
  };
  await Promise.all(Array.from({ length: 32 }, work));
  return statuses;
}

describe.each(Object.entries(POLICIES))("%s", (name, { denied, targets }) => {
  test.each([["HTTP/1.1", false], ["HTTP/2", true]])("nothing that a backend could read as a denied path gets through over %s", async (_, http2) => {
    const paths = [...new Set(targets.flatMap(([first, second]) => disguises(first, second)))];
    arrived.length = 0;
    const statuses = await sendAll(name, paths, http2);
    // Most are answered by the node, some are harmless, and a part doesn't even parse: but not all.
    expect([...statuses.values()].filter((status) => status === 403).length).toBeGreaterThan(20);
    const slipped = arrived
      .filter(({ host }) => host === `${name}.test`)
      .flatMap(({ target }) => {
        const reading = [...naiveReadings(target.replace(/\?.*$/s, ""))].find(denied);
        return reading === undefined ? [] : [`${target} is read as ${JSON.stringify(reading)}`];
      });
    expect([...new Set(slipped)]).toEqual([]);
  });

  test("what people write gets through", async () => {
    const statuses = await sendAll(name, LEGITIMATE[name]!, false);
    expect([...statuses].filter(([, status]) => status !== 200)).toEqual([]);
  });
});
