/** The authz filter fetching newer bundles by itself. */
import { beforeAll, describe, expect, test } from "vitest";
import type { FakeClock, HostOptions, HttpAnswer, HttpCall } from "../../../harness/host/index.ts";
import type { Envelope } from "../../../harness/bundle/envelope.ts";
import { authzConfig } from "../../bench/plugins.ts";
import { authz, Node, NOW, payload, signed, stranger, trust } from "./support.ts";

// Compiles the module, which takes its time on a busy machine.
beforeAll(authz, 300_000);

/** A server whose answer a test changes; entity tags as servers have them. */
class Server {
  answer: HttpAnswer = { status: 404 };
  calls: HttpCall[] = [];

  serve(bundle: Envelope, etag?: string): void {
    this.answer = { status: 200, body: JSON.stringify(bundle), ...(etag !== undefined && { headers: [["etag", etag]] as [string, string][] }) };
    this.etag = etag;
  }

  private etag: string | undefined;

  readonly handle = (call: HttpCall): HttpAnswer => {
    this.calls.push(call);
    const known = call.headers.find(([name]) => name === "if-none-match")?.[1];
    return known !== undefined && known === this.etag ? { status: 304 } : this.answer;
  };
}

const source = { cluster: "bundles", path: "/edge-1.json", authority: "bundles.example", intervalSeconds: 30, timeoutSeconds: 2 };

function setUp(options: HostOptions = {}): { node: Node; server: Server } {
  const server = new Server();
  return { server, node: new Node({ workers: 2, ...options, clusters: { bundles: server.handle } }) };
}

const config = (version: number) => ({ signing: trust(), bundle: signed(payload(version)), source });

async function onEachWorker(node: Node, path: string): Promise<(number | undefined)[]> {
  const send = async (worker: number) => (await node.running!.http({ path, authority: "x" }, { stream: { worker } })).status;
  return [await send(0), await send(1)];
}

describe("a source of bundles", () => {
  test("a newer one decides on every worker, and one VM alone asks, once in an interval", async () => {
    const { node, server } = setUp();
    server.serve(signed(payload(2)));
    await node.offer(config(1));
    expect(await node.allowed("/v1")).toEqual(["/v1"]);
    node.running!.tick(3_000);
    expect(await onEachWorker(node, "/v2")).toEqual([200, 200]);
    expect(await onEachWorker(node, "/v1")).toEqual([403, 403]);
    expect(node.gauge("bundle_version")).toBe(2);
    const asked = server.calls.length;
    node.running!.tick(90_000);
    expect(server.calls.length - asked).toBe(3);
    expect(server.calls[0]).toMatchObject({ cluster: "bundles", timeoutMs: 2_000, headers: [[":method", "GET"], [":path", "/edge-1.json"], [":authority", "bundles.example"]] });
  });

  test("without a mounted bundle everything is denied until one came", async () => {
    const { node, server } = setUp();
    expect(await node.offer({ signing: trust(), source })).toBe("");
    node.running!.tick(3_000);
    expect(await onEachWorker(node, "/v1")).toEqual([403, 403]);
    expect(await node.details()).toBe("selvedge_no_valid_bundle");
    server.serve(signed(payload(1)));
    node.running!.tick(31_000);
    expect(await onEachWorker(node, "/v1")).toEqual([200, 200]);
  });

  test("what was taken isn't fetched again", async () => {
    const { node, server } = setUp();
    server.serve(signed(payload(2)), '"two"');
    await node.offer(config(1));
    node.running!.tick(70_000);
    expect(server.calls.at(-1)!.headers).toContainEqual(["if-none-match", '"two"']);
    server.serve(signed(payload(3)), '"three"');
    node.running!.tick(31_000);
    expect(await onEachWorker(node, "/v3")).toEqual([200, 200]);
  });

  test.each<[string, HttpAnswer, string]>([
    ["that isn't there", { status: 404 }, "unreachable"],
    ["that fails", { status: 500, body: JSON.stringify(signed(payload(2))) }, "unreachable"],
    ["that can't be reached", "connectionFailure", "unreachable"],
    ["that doesn't answer", "timeout", "unreachable"],
    ["that breaks off", "reset", "unreachable"],
    ["that answers something else", { status: 200, body: "<html>" }, "malformed"],
    ["that answers nothing", { status: 200 }, "malformed"],
    ["that answers more", { status: 200, body: `${JSON.stringify(signed(payload(2)))}{}` }, "malformed"],
    ["too large", { status: 200, body: " ".repeat(8 * 1024 * 1024) + JSON.stringify(signed(payload(2))) }, "malformed"],
    ["without signatures", { status: 200, body: JSON.stringify({ ...signed(payload(2)), signatures: [] }) }, "signature"],
    ["by a stranger", { status: 200, body: JSON.stringify(signed(payload(2), stranger)) }, "signature"],
    ["for another node", { status: 200, body: JSON.stringify(signed(payload(2, { audience: ["edge-2"] }))) }, "audience"],
    ["older", { status: 200, body: JSON.stringify(signed(payload(0))) }, "version"],
    ["expired", { status: 200, body: JSON.stringify(signed(payload(2, { expires: NOW }))) }, "expired"],
    ["that can't be compiled", { status: 200, body: JSON.stringify(signed(payload(2, { authz: { policies: [{ metadata: { name: "p" }, spec: { rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] } }] } }))) }, "policies"],
  ])("a bundle %s changes nothing", async (_, answer, reason) => {
    const { node, server } = setUp();
    server.answer = answer;
    await node.offer(config(1));
    node.running!.tick(65_000);
    expect(await onEachWorker(node, "/v1")).toEqual([200, 200]);
    expect(await onEachWorker(node, "/v2")).toEqual([403, 403]);
    expect(node.rejected(reason)).toBeGreaterThanOrEqual(2);
    expect(node.gauge("bundle_rejected")).toBe(reason === "unreachable" ? 0 : 1);
    // Said once by each VM that asked, not each time.
    expect(node.lines.filter((line) => line.startsWith(`bundle refused: ${reason}`)).length).toBeLessThanOrEqual(3);
    server.serve(signed(payload(3)));
    node.running!.tick(65_000);
    expect(await onEachWorker(node, "/v3")).toEqual([200, 200]);
    expect(node.gauge("bundle_rejected")).toBe(0);
  });

  test("a VM that starts again has what the others have, not what is mounted", async () => {
    const { node, server } = setUp();
    server.serve(signed(payload(2)));
    await node.offer(config(1));
    node.running!.tick(3_000);
    server.answer = "connectionFailure";
    await node.offer(config(1));
    expect(await onEachWorker(node, "/v2")).toEqual([200, 200]);
  });

  test("5,000 policies that follow each other in force take no more than 24 MB of a VM", async () => {
    // Else the main thread's VM would be the one that fetches.
    const { node, server } = setUp({ topology: "worker" });
    const { identity: _, ...policies } = authzConfig(5_000) as Record<string, unknown>;
    expect(await node.offer({ signing: trust(), source })).toBe("");
    for (const version of [1, 2, 3]) {
      server.serve(signed(payload(version, { authz: policies })));
      node.running!.tick(65_000);
      expect(node.gauge("bundle_version")).toBe(version);
      for (const worker of [0, 1]) expect(node.running!.memoryBytes(worker)).toBeLessThan(24e6);
    }
  });

  test("an unknown cluster is no reason to stop deciding", async () => {
    const node = new Node();
    expect(await node.offer({ ...config(1), source: { ...source, cluster: "nowhere" } })).toBe("");
    node.running!.tick(3_000);
    expect(await node.allowed("/v1")).toEqual(["/v1"]);
    expect(node.rejected("unreachable")).toBe(1);
  });

  test("a clock that is set back doesn't stop the asking", async () => {
    const { node, server } = setUp();
    await node.offer(config(1));
    node.running!.tick(3_000);
    const asked = server.calls.length;
    (node.host.clock as FakeClock).step(-365 * 86_400_000);
    node.running!.tick(40_000);
    expect(server.calls.length).toBeGreaterThan(asked);
  });
});
