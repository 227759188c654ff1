import { describe, expect, it, test } from "vitest";
import { readLogLine } from "../../../harness/decide/log-line.ts";
import { foundFor } from "../../../harness/explain/found.ts";
import { pathTemplate } from "../../../harness/replay/replay.ts";

test.each([
  ["/reviews/42", "/reviews/{id}"], ["/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x", "/u/{id}/x"], ["/o/5f2b8c9d1e3a4b5c6d7e", "/o/{id}"], ["/products/shoes", "/products/shoes"], ["/v1/users", "/v1/users"],
])("%s is one of %s", (path, template) => {
  expect(pathTemplate(path)).toBe(template);
});

test.each([
  [":method", '"PUT"'], [":path", '"/a?b=1"'], [":authority", '"shop:8443"'], ["host", '"shop:8443"'], [":scheme", '"https"'], ["x-forwarded-proto", '"https"'], ["x-forwarded-for", '"192.0.2.9,192.0.2.7"'], ["x-role", '"a", "b"'], ["x-none", "no such header"],
])("a condition on the header %s finds %s", (name, found) => {
  const headers: [string, string][] = [["x-role", "a"], ["X-Role", "b"], ["x-forwarded-proto", "gopher"], ["x-forwarded-for", "192.0.2.9"]];
  const request = { method: "PUT", host: "shop:8443", path: "/a?b=1", headers, peer: undefined, tls: true, sni: undefined, direct: "192.0.2.8", remote: "192.0.2.7", local: { address: "192.0.2.1", port: 8443 }, claims: undefined };
  expect(foundFor(`header ${name}`, request)).toBe(found);
});

describe("a line of an access log", () => {
  const line = (fields: object): ReturnType<typeof readLogLine> => readLogLine(JSON.stringify({ method: "GET", authority: "a", path: "/", ...fields }));
  it("tells what it knows from what it doesn't", () => {
    const logged = line({ principal: null, sni: null, headers: { "x-a": "1", "x-b": null } });
    if (typeof logged === "string") throw new Error(logged);
    expect(logged.request).toMatchObject({ peer: undefined, sni: undefined, headers: [["x-a", "1"]] });
    expect((["principal", "sni", "header x-a", "header x-b", "method"] as const).map(logged.unknown)).toEqual([false, false, false, false, false]);
    expect((["source.ip", "remote.ip", "port", "header x-c", "jwt principal"] as const).map(logged.unknown)).toEqual([true, true, true, true, true]);
  });
  it("is Istio's, too", () => {
    const logged = line({ downstream_local_address: "[::1]:8443", downstream_remote_address: "10.1.2.3:5", response_code_details: "via_upstream", response_code: 200, requested_server_name: "a" });
    expect(logged).toMatchObject({ port: 8443, request: { remote: "10.1.2.3", local: { address: "::1" }, sni: "a" }, recorded: { allowed: true } });
  });
  it.each([
    ["selvedge_authz_denied[prod/p#3]", { allowed: false, rule: { policy: "prod/p", rule: 3 } }],
    ["selvedge_authz_denied[none]", { allowed: false, rule: undefined }],
    ["selvedge_ambiguous_identity", { allowed: false }],
    ["selvedge_ambiguous_path", { allowed: false }],
    ["via_upstream", { allowed: true }],
    ["filter_chain_not_found", { allowed: undefined }],
  ])("with %s says what was decided", (details, recorded) => {
    expect(line({ details, status: 200 })).toMatchObject({ recorded });
  });
  it.each([["", "no JSON"], ["[]", "no JSON object"], ["null", "no JSON object"], ['{"method":"GET"}', "no field `authority`"], ['{"method":null,"authority":"a","path":"/"}', "`method` is empty: no request was read"]])("%s can't be taken: %s", (text, why) => {
    expect(readLogLine(text)).toBe(why);
  });
});
