import { EXPRESSIONS } from "./expressions.ts";
import { signatureCalls } from "./signatures.ts";
import type { Scenario, ScenarioRequest } from "./scenario.ts";

/** Requests for the probe flow: what each callback returns (see probes/flow.wat), with a body of two chunks or none. */
function flow(kind: "get" | "post" | "trailers", ...codes: string[]): ScenarioRequest[] {
  return codes.map((code) => ({
    path: `/${code}`,
    method: kind === "get" ? "GET" : "POST",
    headers: [["x-flow", code]],
    body: kind === "get" ? undefined : ["one", "three"],
    trailers: kind === "trailers" ? [["x-qt", "1"]] : undefined,
    response: kind === "get" ? { headers: [["x-r", "1"]] } : { body: ["two", "four"], trailers: kind === "trailers" ? [["x-rt", "1"]] : undefined },
    giveUpMs: 700,
  }));
}

/** Requests for the probe reply: when (q, b, r, s: request and response headers and body; l: log) and what. */
function reply(...codes: string[]): ScenarioRequest[] {
  return codes.map((code) => ({ path: `/${code}`, method: "POST", headers: [["x-do", code]], body: ["body"], response: { headers: [["x-up", "1"]], body: ["answer"] }, giveUpMs: 700 }));
}

/** Requests for the probe edit: when and how, which header, and its value. */
function edit(...edits: [string, string?, string?][]): ScenarioRequest[] {
  return edits.map(([code, name = "", value = ""], i) => ({
    path: `/${i}`,
    method: code.startsWith("b") ? "POST" : "GET",
    headers: [["x-edit", code], ["x-edit-name", name], ["x-edit-value", value]],
    body: code.startsWith("b") ? ["body"] : undefined,
    response: { headers: [["x-r", "1"]], body: ["answer"] },
  }));
}

/** Requests for the probe failure: where it traps; a last one shows what is left. */
function trap(where: string): ScenarioRequest[] {
  return [
    { path: "/before", headers: [] },
    { path: "/trap", method: "POST", headers: [["x-trap", where]], body: ["body"], response: { body: ["answer"] }, giveUpMs: 700 },
    { path: "/after", headers: [], giveUpMs: 700 },
  ];
}

/** All scenarios. Each is one plugin on one listener; they run side by side in one Envoy. */
export const scenarios: Scenario[] = [
  {
    id: "lifecycle",
    config: "plugin configuration",
    vmConfig: "vm configuration",
    requests: [
      { path: "/get" },
      { path: "/body", method: "POST", body: ["one", "three"], response: { status: 201, body: ["answer"] } },
      { path: "/trailers", method: "POST", body: ["b"], trailers: [["x-t", "1"]], response: { body: ["r"], trailers: [["x-rt", "2"]] } },
    ],
  },
  {
    id: "headers",
    requests: [
      {
        path: "/read?q=1",
        headers: [
          ["x-one", "1"], ["x-two", "a"], ["x-two", "b"], ["x-empty", ""], ["X-Mixed", "Case"], ["x-utf8", "Ünïcode"], ["x-spaces", "  padded  "],
          ["cookie", "a=1"], ["cookie", "b=2"], ["accept", "text/a"], ["accept", "text/b"], ["user-agent", "probe"],
        ],
      },
      { path: "/edit", headers: [["x-one", "1"], ["x-two", "a"], ["x-two", "b"], ["x-last", "z"]] },
      { path: "/response", headers: [["x-one", "1"]], response: { headers: [["x-r", "1"], ["x-r", "2"]], body: ["body"] } },
      { path: "/inline", headers: [["x-first", "1"], ["user-agent", "probe"], ["x-last", "2"]] },
      { path: "/trailers", method: "POST", body: ["b"], trailers: [["x-q", "1"]], response: { body: ["r"], trailers: [["x-rt", "1"]] } },
      { path: "/none", headers: [["x-one", "1"]], response: { status: 204, headers: [["x-case", "skip"]] } },
    ],
  },
  {
    id: "buffers",
    config: "plugin configuration",
    requests: [{ path: "/", method: "POST", body: ["0123456789"], response: { body: ["abcdefghij"] } }],
  },
  { id: "metrics", requests: [{ path: "/" }] },
  { id: "shared", requests: [{ path: "/" }], afterMs: 100 },
  { id: "flow", requests: flow("get", "0000000", "1000001", "2000000", "3000001", "4000001", "5000001", "0001002", "0002002", "0003002", "0004002", "1000000", "1000003", "1000004", "0001003", "0001004") },
  { id: "flow-post", probe: "flow", requests: flow("post", "0000000", "1000001", "1100005", "3000001", "4000001", "0100001", "0100005", "0200001", "0200005", "0300001", "0300005", "0400001") },
  { id: "flow-reply", probe: "flow", requests: flow("post", "0001002", "0000102", "0000105", "0000202", "0000205", "0000302", "0000305", "0100003", "0100004", "0000103", "0000104", "0001104") },
  { id: "flow-trailers", probe: "flow", requests: flow("trailers", "0000000", "0010001", "0110001", "0000012", "0000112", "1000001", "0001002", "0020001", "0300000", "0000300", "1100001", "0001102") },
  { id: "flow-iteration", probe: "flow", allowHeadersStopIteration: true, requests: [...flow("get", "1000001", "0001002"), ...flow("post", "1000001", "1100001", "1100005", "0001002", "0001102")] },
  {
    id: "flow-limit",
    probe: "flow",
    bufferLimit: 10,
    requests: [
      { path: "/exact", method: "POST", headers: [["x-flow", "0100001"]], body: ["0123456789"], response: {}, giveUpMs: 700 },
      { path: "/over", method: "POST", headers: [["x-flow", "0100001"]], body: ["0123456789a"], response: {}, giveUpMs: 700 },
      { path: "/second", method: "POST", headers: [["x-flow", "0100001"]], body: ["01234567", "89abc"], response: {}, giveUpMs: 700 },
      { path: "/all", method: "POST", headers: [["x-flow", "3000001"]], body: ["0123456789a"], response: {}, giveUpMs: 700 },
      { path: "/watermark", method: "POST", headers: [["x-flow", "4000001"]], body: ["0123456789a"], response: {}, giveUpMs: 700 },
      { path: "/stream", method: "POST", headers: [["x-flow", "0200001"]], body: ["0123456789a"], response: {}, giveUpMs: 700 },
      { path: "/response", headers: [["x-flow", "0000102"]], response: { body: ["0123456789a"] }, giveUpMs: 700 },
      { path: "/response-watermark", headers: [["x-flow", "0000202"]], response: { body: ["0123456789a"] }, giveUpMs: 700 },
    ],
  },
  {
    id: "properties",
    requests: [
      { path: "/get?a=1", headers: [["x-two", "a"], ["x-two", "b"], ["user-agent", "probe"], ["referer", "http://r/"], ["cookie", "a=1"], ["cookie", "b=2"]], response: { status: 202, headers: [["x-r", "1"], ["x-r", "2"]] } },
      { path: "/post", method: "POST", headers: [["content-type", "application/grpc"]], body: ["12345"], response: { body: ["abc"], trailers: [["x-rt", "1"], ["grpc-status", "5"]] } },
    ],
  },
  { id: "reply", requests: reply("qa", "qb", "qc", "qd", "qe", "qf", "qi", "qj", "qk", "ql", "qn") },
  { id: "reply-later", probe: "reply", requests: reply("ba", "bc", "ra", "rc", "re", "sa") },
  { id: "reply-close", probe: "reply", requests: reply("qg", "bg", "rg", "rh", "sg", "qh", "bk", "rk") },
  {
    id: "reply-grpc",
    probe: "reply",
    requests: ["qa", "qb", "qc", "qd", "ra"].map((code) => ({ path: "/pkg.Service/Method", method: "POST", headers: [["x-do", code], ["content-type", "application/grpc"]], body: ["b"], response: { body: ["a"] } })),
  },
  { id: "reply-head", probe: "reply", requests: ["qa", "qb", "qc"].map((code) => ({ path: "/", method: "HEAD", headers: [["x-do", code]] })) },
  {
    id: "edit-routing",
    probe: "edit",
    allowHeadersStopIteration: true,
    requests: edit(["qa", "x-route", "b"], ["qs", "x-route", "b"], ["bs", "x-route", "b"], ["ba", "x-new", "1"], ["qc"], ["qr", "x-nothing"], ["qr", ":path"], ["qs", ":path", "/other"], ["qs", ":path", "other"], ["qs", ":path", "*"], ["br", ":path"], ["qr", "x-forwarded-proto"], ["qr", ":scheme"], ["qp"]),
  },
  {
    id: "edit-invalid",
    probe: "edit",
    requests: edit(["qr", ":method"], ["qs", ":method", "CONNECT"], ["qa", "x-bad name", "1"], ["qa", "x:bad", "1"], ["qa", "X-Ü", "1"], ["qa", "x-\"q\"", "1"], ["qa", ":nothing", "1"], ["qa", "X-Up", "ü"], ["qn", "x-line"], ["qn", ":path"]),
  },
  { id: "edit-status", probe: "edit", requests: edit(["rr", ":status"], ["rs", ":status", "abc"], ["rs", ":status", ""], ["rs", ":status", "-1"], ["rs", ":status", "2e2"], ["rs", ":status", "299"], ["ra", "x-more", "1"]) },
  { id: "callouts", requests: [{ path: "/args" }, { path: "/host" }, { path: "/ok" }, { path: "/slow" }, { path: "/refused" }, { path: "/reset" }].map((request) => ({ ...request, giveUpMs: 1500 })), afterMs: 100 },
  { id: "foreign", requests: [{ path: "/" }] },
  { id: "cel", config: EXPRESSIONS.join("\n"), requests: [{ path: "/get?a=1", headers: [["x-two", "a"], ["x-two", "b"], ["user-agent", "probe"], ["referer", "http://r/"], ["cookie", "a=1"]] }] },
  { id: "cel-tokens", probe: "cel", requests: [{ path: "/" }] },
  { id: "crypto", config: signatureCalls(), requests: [{ path: "/" }] },
  { id: "spans", oneConnection: true, requests: [{ path: "/first" }, { path: "/second" }, { path: "/third" }] },
  { id: "spans-apart", probe: "spans", requests: [{ path: "/first" }, { path: "/second" }] },
  { id: "misc", requests: [{ path: "/", headers: [["x-n", "1"]] }], afterMs: 300 },
  ...["q", "b", "r", "s", "l", "d"].flatMap((where): Scenario[] => [
    { id: `closed-${where}`, probe: "failure", failurePolicy: "FAIL_CLOSED", requests: trap(where) },
    { id: `open-${where}`, probe: "failure", failurePolicy: "FAIL_OPEN", requests: trap(where) },
    { id: `fail-open-${where}`, probe: "failure", failOpen: true, requests: trap(where) },
  ]),
  { id: "reload-now", probe: "failure", failurePolicy: "FAIL_RELOAD", requests: trap("q") },
  {
    id: "reload-later",
    probe: "failure",
    failurePolicy: "FAIL_RELOAD",
    requests: [
      // Long after the start, so that the first attempt comes at once; the next ones have to wait.
      { path: "/trap", waitMs: 500, headers: [["x-trap", "q"]] }, { path: "/at-once", headers: [["x-trap", "q"]] }, { path: "/too-soon" }, { path: "/still-too-soon" },
      { path: "/later", waitMs: 500 }, { path: "/again", method: "POST", headers: [["x-trap", "r"]], body: ["b"], response: { body: ["a"] } }, { path: "/last", waitMs: 500 },
    ],
  },
  { id: "wasi", environment: { KEY: "value", OTHER: "thing" }, requests: [{ path: "/" }] },
  { id: "capabilities", capabilities: ["proxy_log", "proxy_on_configure", "proxy_on_request_headers"], requests: [{ path: "/", method: "POST", body: ["b"] }] },
  { id: "sharing", config: "first", requests: [{ path: "/" }] },
  { id: "sharing-second", probe: "sharing", sharesVmWith: "sharing", config: "second", requests: [{ path: "/" }] },
  { id: "malloc", requests: [{ path: "/" }, { path: "/after" }] },
  { id: "abi010", config: "plugin", vmConfig: "vm", requests: [{ path: "/" }] },
  { id: "secondconfigure", requests: [{ path: "/" }] },
  { id: "grpc", requests: ["/args", "/unknown-proto", "/ok", "/proto", "/fail", "/slow", "/refused", "/cancel", "/stream"].map((path) => ({ path, giveUpMs: 2500 })), afterMs: 100 },
];
