import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Driver } from "../../../harness/scenario/driver.ts";
import type { TrafficModel, UpstreamModel } from "../../../harness/scenario/model.ts";
import { checkUpstreamPorts, startUpstreams, type RunningUpstreams } from "../../../harness/scenario/upstreams.ts";
import { freePort, NOBODYS_PORT } from "../../support/ports.ts";
import { findingsOf } from "./support.ts";

const servers: Server[] = [];
const upstreams: RunningUpstreams[] = [];
afterEach(async () => {
  await Promise.all(upstreams.splice(0).map((each) => each.stop()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

async function upstream(changes: Partial<UpstreamModel> = {}): Promise<number> {
  const port = await freePort();
  upstreams.push(await startUpstreams([{ id: "prod/web", endpoints: [{ address: "127.0.0.1", port }], bodyBytes: 0, ...changes }]));
  return port;
}

const traffic = (changes: Partial<TrafficModel> = {}): TrafficModel => ({ method: "GET", host: "web.example", path: "/x", headers: {}, bodyBytes: 0, count: 6, concurrency: 3, ...changes });

/** Sends without TLS, straight to a server. */
async function send(port: number, entry: TrafficModel, expected = entry.count) {
  const driver = new Driver({ target: { address: "127.0.0.1", port, tls: false, mutualTls: false }, traffic: [entry] }, "");
  let answers = 0;
  const result = await driver.send(entry, new AbortController().signal, () => answers++);
  driver.close();
  expect(answers).toBe(expected);
  return result;
}

describe("an upstream", () => {
  it("says who it is and what it was asked, as long as it should be", async () => {
    const port = await upstream({ bodyBytes: 500 });
    const response = await fetch(`http://127.0.0.1:${port}/a?b`, { method: "POST", body: "x" });
    const text = await response.text();
    expect([response.status, response.headers.get("x-served-by"), text.length]).toEqual([200, "prod/web", 500]);
    expect(JSON.parse(text)).toEqual({ servedBy: "prod/web", status: 200, method: "POST", path: "/a?b" });
  });

  it("fails as often as it should, with its status, the same in every run", async () => {
    const statuses = async (): Promise<number[]> => {
      const port = await upstream({ errors: { ratio: 0.3, status: 500 } });
      return Promise.all(Array.from({ length: 40 }, async () => (await fetch(`http://127.0.0.1:${port}/`)).status));
    };
    const first = (await statuses()).filter((status) => status === 500).length;
    expect(first).toBeGreaterThan(4);
    expect(first).toBeLessThan(20);
    expect((await statuses()).filter((status) => status === 500).length).toBe(first);
  });

  it("whose port is taken is named, and none is left running", async () => {
    const taken = await listen(createServer());
    const free = await freePort();
    const models: UpstreamModel[] = [
      { id: "prod/a", endpoints: [{ address: "127.0.0.1", port: free }], bodyBytes: 0 },
      { id: "prod/b", endpoints: [{ address: "127.0.0.1", port: taken }], bodyBytes: 0 },
      { id: "prod/c", endpoints: [{ address: "127.0.0.1", port: free }], bodyBytes: 0 },
    ];
    expect(await checkUpstreamPorts(models)).toMatchObject([
      { code: "upstream-port-in-use", message: `the upstream for Backend prod/b can't listen on 127.0.0.1:${taken}: something else does already` },
      { code: "upstream-port-twice", message: `Backends prod/a and prod/c have the same endpoint 127.0.0.1:${free}` },
    ]);
    expect(await findingsOf(() => startUpstreams(models))).toMatchObject([{ code: "upstream-port-in-use" }]);
    await expect(fetch(`http://127.0.0.1:${free}/`)).rejects.toThrow();
  });
});

describe("traffic", () => {
  it("counts what upstreams answered, errors of theirs included", async () => {
    const port = await upstream({ errors: { ratio: 1 } });
    const result = await send(port, traffic());
    expect(result).toMatchObject({ sent: 6, outcomes: { allow: 6, deny: 0, refuse: 0, fail: 0 } });
    expect([...result.servedBy]).toEqual([["prod/web", 6]]);
  });

  it("knows a denial from any other answer that no upstream gave, and from none", async () => {
    const denying = await listen(createServer((_, response) => response.writeHead(403).end("RBAC: access denied")));
    const missing = await listen(createServer((_, response) => response.writeHead(404).end()));
    expect((await send(denying, traffic())).outcomes).toEqual({ allow: 0, deny: 6, refuse: 0, fail: 0 });
    const lost = await send(missing, traffic());
    expect([lost.outcomes.fail, [...lost.failures]]).toEqual([6, [["status 404", 6]]]);
    const dead = await send(NOBODYS_PORT, traffic({ count: 2 }));
    expect([dead.outcomes, [...dead.failures]]).toEqual([{ allow: 0, deny: 0, refuse: 0, fail: 2 }, [["ECONNREFUSED", 2]]]);
  });

  it("asks as the scenario says, for each user, and never with more requests at once", async () => {
    const seen: string[] = [];
    let open = 0;
    let most = 0;
    const port = await listen(
      createServer((request, response) => {
        most = Math.max(most, ++open);
        seen.push(`${request.method} ${request.headers.host?.replace(/\d+$/, "PORT")}${request.url} ${request.headers["x-user"]} ${request.headers["content-length"]}`);
        request.resume();
        setTimeout(() => {
          open--;
          response.writeHead(200, { "x-served-by": `prod/v${Number(request.headers["x-user"]!.toString().slice(-1)) % 2}` }).end();
        }, 5);
      }),
    );
    const canary = { route: "r", arms: [], sticky: true, users: 3, requestsPerUser: 2 };
    const result = await send(port, traffic({ method: "PUT", path: "/{user}", headers: { "x-user": "{user}" }, bodyBytes: 7, canary, count: 6, concurrency: 2 }));
    expect(seen.slice().sort()).toEqual(["user-0", "user-0", "user-1", "user-1", "user-2", "user-2"].map((user) => `PUT web.example:PORT/${user} ${user} 7`));
    expect(new Set(seen.slice(0, 4)).size, "all users before any comes again").toBe(3);
    expect(most).toBe(2);
    expect([...result.users].map(([user, backends]) => [user, [...backends]]).sort()).toEqual([["user-0", ["prod/v0"]], ["user-1", ["prod/v1"]], ["user-2", ["prod/v0"]]]);
  });

  it("gives up on a node that answers nothing", async () => {
    const result = await send(NOBODYS_PORT, traffic({ count: 10_000, concurrency: 1 }), 50);
    expect(result).toMatchObject({ sent: 50, outcomes: { fail: 50 } });
  });

  it("ends when it is told to", async () => {
    const port = await upstream();
    const controller = new AbortController();
    const entry = traffic({ count: 1_000, concurrency: 1 });
    const driver = new Driver({ target: { address: "127.0.0.1", port, tls: false, mutualTls: false }, traffic: [entry] }, "");
    const result = await driver.send(entry, controller.signal, () => controller.abort());
    driver.close();
    expect(result.sent).toBe(1);
  });
});
