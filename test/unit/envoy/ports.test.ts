import { createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Address, Listener } from "../../../harness/envoy/config.ts";
import { checkPorts, loadBootstrap, type Bootstrap } from "../../../harness/envoy/index.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function occupy(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

const at = (port: number, address = "127.0.0.1"): Address => ({ socket_address: { address, port_value: port } });
const listeners = (...list: Listener[]): Bootstrap => ({ static_resources: { listeners: list } });

describe("checkPorts", () => {
  it("finds nothing wrong with free ports, any port, and pipes", async () => {
    const port = await occupy();
    servers.pop()!.close();
    const config = listeners({ name: "a", address: at(port) }, { name: "b", address: at(0) }, { name: "c", address: at(0) }, { name: "d", address: { pipe: { path: "/run/x" } } });
    expect(await checkPorts(config)).toEqual([]);
  });

  it("names the listener whose port is taken, the admin interface included", async () => {
    const [first, second] = [await occupy(), await occupy()];
    const findings = await checkPorts({ admin: { address: at(first) }, ...listeners({ name: "edge", address: at(0), additional_addresses: [{ address: at(second) }] }) });
    expect(findings.map(({ code, message }) => [code, message])).toEqual([
      ["envoy-port-in-use", `the admin interface can't listen on 127.0.0.1:${first}: something else does already`],
      ["envoy-port-in-use", `listener edge can't listen on 127.0.0.1:${second}: something else does already`],
    ]);
  });

  it("finds two listeners on one port, but lets TCP and UDP share it", async () => {
    const port = await occupy();
    servers.pop()!.close();
    expect(await checkPorts(listeners({ name: "a", address: at(port) }, { name: "b", address: at(port) }))).toMatchObject([{ code: "envoy-port-twice", message: `listener a and listener b both listen on 127.0.0.1:${port}` }]);
    const udp = { socket_address: { address: "127.0.0.1", port_value: port, protocol: "UDP" } };
    expect(await checkPorts(listeners({ name: "a", address: at(port) }, { name: "b", address: udp }))).toEqual([]);
  });

  it("says when this machine has no such address", async () => {
    expect(await checkPorts(listeners({ name: "a", address: at(18080, "192.0.2.1") }))).toMatchObject([{ code: "envoy-address-unavailable" }]);
  });
});

describe("loadBootstrap", () => {
  it("adds an admin interface where there is none, and leaves another alone", async () => {
    expect((await loadBootstrap("node: {id: a}")).admin).toEqual({ address: at(0) });
    expect((await loadBootstrap({ admin: { address: at(9901) } })).admin).toEqual({ address: at(9901) });
  });

  it("says where text isn't YAML, and what else a bootstrap can't be", async () => {
    await expect(loadBootstrap("a: [1\nb: 2")).rejects.toThrow(/configuration:2:\d+: error\[envoy-config-syntax\]/);
    await expect(loadBootstrap("- a")).rejects.toThrow("an Envoy bootstrap is a mapping");
    await expect(loadBootstrap({ file: "/nowhere/envoy.yaml" })).rejects.toThrow("/nowhere/envoy.yaml: error[envoy-config-missing]");
  });
});
