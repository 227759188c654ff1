import { describe, expect, it } from "vitest";
import { explainLog } from "../../../harness/envoy/index.ts";

const critical = (message: string): string => `[2026-01-01 10:00:00.000][42][critical][main] [source/server/config_validation/server.cc:76] error initializing configuration 'envoy.json': ${message}\n`;
const wasm = (level: string, message: string): string => `[2026-01-01 10:00:00.000][42][${level}][wasm] [source/extensions/common/wasm/wasm.cc:104] ${message}\n`;

describe("explainLog", () => {
  // Left: what Envoy 1.40 prints. Right: what we make of it.
  it.each([
    ["Protobuf message (type envoy.config.bootstrap.v3.Bootstrap reason INVALID_ARGUMENT: invalid JSON in envoy.config.bootstrap.v3.Bootstrap,  near 1:8 (offset 7): no such field: 'foo') has unknown fields", "envoy-config-field", "doesn't know: foo"],
    ["Unable to parse JSON as proto (INVALID_ARGUMENT: invalid JSON in envoy.config.bootstrap.v3.Bootstrap @ static_resources.listeners[0].name:  string, near   1:51 (offset 50): unexpected character:  '3'; expected  '\"'): {\"a\":1}", "envoy-config-type", "static_resources.listeners[0].name has the wrong type: found '3', expected '\"'"],
    ["Unable to parse JSON as proto (INVALID_ARGUMENT: could not find @type 'type.googleapis.com/nope.Nope'): {}", "envoy-extension-missing", "no extension type.googleapis.com/nope.Nope"],
    ["Invalid duration: Expected positive duration: goo.gle/debugproto  \nseconds: -1\n", "envoy-config-refused", "Envoy refuses the configuration"],
    ["cluster manager: duplicate cluster 'a'", "envoy-cluster-twice", "cluster a is defined twice"],
    ["route: unknown cluster 'nope'", "envoy-cluster-missing", "cluster nope, which doesn't exist"],
    ["Invalid path: /dist/edge.wasm", "envoy-file-missing", "there is no file /dist/edge.wasm"],
    ["Failed to load certificate chain from <inline>", "envoy-certificate", "certificate chain can't be read from <inline>"],
    ["Failed to load incomplete private key from path: /nope.key", "envoy-certificate", "private key can't be read from /nope.key"],
  ])("%s", (message, code, text) => {
    const finding = explainLog(critical(message));
    expect(finding).toMatchObject({ code, severity: "error" });
    expect(finding.message).toContain(text);
  });

  it("leaves protobuf's debug marks out, and keeps Envoy's words", () => {
    expect(explainLog(critical("Invalid duration: Expected positive duration: goo.gle/debugproto  \nseconds: -1\n")).found).toBe("Invalid duration: Expected positive duration: seconds: -1");
  });

  it("names the address that Envoy could not bind", () => {
    const log = "[2026-01-01 10:00:00.000][42][critical][main] [source/server/server.cc:449] error `cannot bind '127.0.0.1:80': Permission denied` initializing config 'goo.gle/debugstr \n  a.yaml'\ncannot bind '127.0.0.1:80': Permission denied\n";
    expect(explainLog(log)).toMatchObject({ code: "envoy-port-in-use", message: "Envoy can't listen on 127.0.0.1:80: Permission denied" });
  });

  it("lets a plugin that refuses its configuration speak for itself", () => {
    const log = wasm("critical", "wasm log authz: selvedge: authz: invalid configuration: $.policies[3]: found 3, expected an object") + wasm("error", "Wasm VM failed Failed to configure base Wasm plugin") + critical("Unable to create Wasm plugin authz");
    expect(explainLog(log)).toMatchObject({
      code: "envoy-wasm-refused",
      message: "plugin authz doesn't load: it refused its configuration",
      found: "selvedge: authz: invalid configuration: $.policies[3]: found 3, expected an object",
    });
  });

  it("says why a module doesn't load at all", () => {
    const log = (cause: string): string => wasm("error", `Wasm VM failed ${cause}`) + critical("Unable to create Wasm plugin w");
    expect(explainLog(log("Failed to parse corrupted Wasm module")).message).toBe("plugin w doesn't load: it is not a WebAssembly module");
    expect(explainLog(log("Missing or unknown Proxy-Wasm ABI version")).message).toBe("plugin w doesn't load: it is not a Proxy-Wasm module");
  });

  it("says so when the log says nothing", () => {
    expect(explainLog("")).toEqual({ code: "envoy-config-refused", severity: "error", message: "Envoy refuses the configuration", found: "nothing in its log" });
  });
});
