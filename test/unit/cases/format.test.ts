import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FileSchema, readCases } from "../../../harness/cases/index.ts";
import { placeholders, rowName, substitute } from "../../../harness/cases/table.ts";
import { formatFinding } from "../../../harness/errors.ts";

const read = (text: string) => readCases("some/cases.yaml", text);
const complaints = (text: string): string[] => read(text).findings.map(formatFinding);
const oneCase = (lines: string): string => `filter: authz\ncases:\n  - name: x\n${lines.split("\n").map((line) => `    ${line}`).join("\n")}\n`;

describe("a file of cases", () => {
  it("needs little", () => {
    const { plans, findings } = read("filter: authz\ncases:\n  - name: x\n    expect: { status: 200 }\n");
    expect(findings).toEqual([]);
    expect(plans).toMatchObject([{ name: "x", config: "", rootId: "authz", engines: ["host", "envoy"], where: { line: 3 }, steps: [{ repeat: 1, request: {} }] }]);
    expect(plans[0]!.module).toMatch(/dist\/authz\.wasm$/);
  });

  it("finds its module from where it is itself", () => {
    const { plans } = read("module: ../mine.wasm\nroot-id: root\ncases: [{ name: x, expect: { status: 200 } }]");
    expect(plans[0]).toMatchObject({ filter: "mine", rootId: "root" });
    expect(plans[0]!.module).toMatch(/\/some\/\.\.\/mine\.wasm$|(?<!\/some)\/mine\.wasm$/);
  });

  it("gives each case its own configuration, or the file's", () => {
    const { plans } = read('filter: f\nconfig: { a: 1 }\ncases:\n  - { name: x, expect: { status: 200 } }\n  - { name: y, config: "raw", expect: { status: 200 } }\n');
    expect(plans.map(({ config }) => config)).toEqual(['{"a":1}', "raw"]);
  });

  it.each([
    ["a misspelt field", oneCase("reqest: {}\nexpect: { status: 200 }"), "some/cases.yaml:4:5: error[unknown-field]: unknown field `reqest` in a case", "did you mean `request`?"],
    ["a length that isn't the body's", oneCase('request: { method: POST, headers: { content-length: "99" }, body: ab }\nexpect: { status: 200 }'), "a client says by itself how long the body is", "leave `content-length` out; to say something wrong, send it with `raw`"],
    ["a header that no client sends", oneCase('request: { headers: { "a b": c } }\nexpect: { status: 200 }'), 'no client sends a header named "a b"', "send it with `raw`"],
    ["a value with a line break", oneCase('request: { headers: { a: "b\\r\\nc: d" } }\nexpect: { status: 200 }'), 'the value of "a" has a line break', "send it with `raw`"],
    ["a method that no client sends", oneCase('request: { method: "G T" }\nexpect: { status: 200 }'), 'no client sends the method "G T"', "send it with `raw`"],
    ["another document", "filter: a\ncases: [{ name: x, expect: { status: 200 } }]\n---\nfilter: b", "some/cases.yaml:3:1: error[yaml-syntax]: a file of cases is one YAML document", "put it into a file of its own"],
    ["one further down", oneCase("request:\n  pear: spiffe://a/b\nexpect: { status: 200 }"), "some/cases.yaml:5:7: error[unknown-field]: unknown field `pear` in `request`", "did you mean `peer`?"],
    ["one in an expectation", oneCase("expect: { statsu: 200 }"), "some/cases.yaml:4:15: error[unknown-field]: unknown field `statsu` in `expect`", "did you mean `status`?"],
    ["one at the top", "filtre: authz\ncases: [{ name: x, expect: { status: 200 } }]", "some/cases.yaml:1:1: error[unknown-field]: unknown field `filtre`", "did you mean `filter`?"],
    ["a value of the wrong type", oneCase("request: { path: 5 }\nexpect: { status: 200 }"), "some/cases.yaml:4:22: error[wrong-type]: `request.path` has the wrong type", 'put quotes around it: "5"'],
    ["a header with a number", oneCase("request: { headers: { a: 5 } }\nexpect: { status: 200 }"), "some/cases.yaml:4:30: error[wrong-value]: `request.headers.a`", 'put quotes around it: "5"'],
    ["a misspelt field where a text would do too", oneCase("request: { body: [{ wiat: 5ms }] }\nexpect: { status: 200 }"), "some/cases.yaml:4:25: error[unknown-field]: unknown field `wiat` in `request.body[0]`", "did you mean `wait`?"],
    ["a misspelt word", oneCase("expect: { snapshot: [respnse] }"), "`expect.snapshot[0]`", "did you mean `response`?"],
    ["a mask that is no expression", oneCase("expect: { snapshot: { mask: ['('] } }"), "Invalid regular expression", ""],
    ["raw bytes on the host", oneCase("request: { raw: x }\nexpect: { status: 200 }"), "raw bytes need a proxy", "engines: [envoy]"],
    ["raw bytes and more", oneCase("engines: [envoy]\nbecause: x\nrequest: { raw: x, path: / }\nexpect: { status: 200 }"), "`path` says nothing", ""],
    ["a path that HTTP/1 can't carry", oneCase("request: { path: '/a b' }\nexpect: { status: 200 }"), "holds no space", "raw"],
    ["a header that HTTP/2 doesn't have", oneCase("request: { protocol: http2, headers: { Connection: close } }\nexpect: { status: 200 }"), "HTTP/2 has no `Connection`", ""],
    ["two bodies", oneCase("request: { grpc: x, body: y }\nexpect: { status: 200 }"), "`grpc` is the body", ""],
    ["an answer where nobody listens", oneCase("clusters: { a: { fail: connect, status: 200 } }\nexpect: { status: 200 }"), "`status` says nothing", ""],
    ["answers besides nobody listening", oneCase("clusters: { a: [{ fail: connect }, {}] }\nexpect: { status: 200 }"), "has no other answer", "give `fail: connect` alone"],
    ["a status out of range", oneCase("expect: { status: 99 }"), "some/cases.yaml:4:23: error[wrong-value]: `expect.status`", "a status, 100 to 599"],
    ["a duration without unit", oneCase("upstream: { delay: '5' }\nexpect: { status: 200 }"), "`upstream.delay`", "a duration such as 50ms or 2s"],
    ["an engine that isn't one", oneCase("engines: [enovy]\nbecause: x\nexpect: { status: 200 }"), "`engines[0]`", "host or envoy"],
    ["nothing expected", oneCase("request: {}"), "this case expects nothing", "add `expect"],
    ["one engine without reason", oneCase("engines: [host]\nexpect: { status: 200 }"), "a case that only one engine can run says why", "add `because"],
    ["a reason without engine", oneCase("because: x\nexpect: { status: 200 }"), "there is none", ""],
    ["a request to a filter that is refused", oneCase("request: {}\nexpect: { configuration-error: x }"), "`request` says nothing", ""],
    ["steps beside an expectation", oneCase("expect: { status: 200 }\nsteps: [{ expect: { status: 200 } }]"), "with `steps`, each has its own `expect`", ""],
    ["a share of one", oneCase("expect: { share: { stable: [0, 1] } }"), "a share of one request", "add `repeat"],
    ["pinned properties on Envoy", oneCase("request: { properties: { a: 1 } }\nexpect: { status: 200 }"), "properties can be pinned on the host engine only", "engines: [host]"],
    ["a connection and a request", oneCase("connection: {}\nrequest: {}\nexpect: { closed: filter }"), "some/cases.yaml:4:5: error[case-contradiction]: a request has a connection of its own", "two cases"],
    ["a status of a connection", oneCase("connection: {}\nexpect: { status: 200 }"), "some/cases.yaml:5:15: error[case-contradiction]: `status` says nothing of a connection", "`received`"],
    ["an end of a request", oneCase("request: {}\nexpect: { closed: filter }"), "`closed` says nothing of a request", "give a `connection`"],
    ["an answer of HTTP to a connection", oneCase("connection: {}\nupstream: { status: 200 }\nexpect: { closed: filter }"), "`status` says nothing of a connection", ""],
    ["whether an upstream hears of a handshake", oneCase("connection: { tls: true }\nexpect: { upstream: { connected: false } }"), "with TLS the upstream may hear", "received"],
    ["a physical peer elsewhere", oneCase("connection: { direct: 10.0.0.1 }\nexpect: { closed: filter }"), "the physical peer is on this machine", "`source` takes any address"],
    ["two things done at once", oneCase("connection: { send: [{ wait: 5ms, end: true }] }\nexpect: { closed: filter }"), "`connection.send[0]`", "one of hex, base64, wait"],
    ["nothing done", oneCase("connection: { send: [{}] }\nexpect: { closed: filter }"), "`connection.send[0]`", "one of hex, base64, wait"],
    ["an ending that isn't one", oneCase("connection: {}\nexpect: { closed: fitler }"), "`expect.closed`", "did you mean `filter`?"],
    ["half a byte", oneCase("connection: { send: { hex: abc } }\nexpect: { closed: filter }"), "`connection.send`", ""],
    ["no filter", "cases: [{ name: x, expect: { status: 200 } }]", "needs `filter` or `module`", ""],
    ["no case", "filter: f\ncases: []", "`cases`", ""],
    ["a name twice", "filter: f\ncases: [{ name: x, expect: { status: 200 } }, { name: x, expect: { status: 200 } }]", 'two cases are named "x"', "rename"],
    ["broken YAML", "filter: f\ncases: [", "some/cases.yaml:2:", ""],
    ["an alias of nothing", "filter: f\ncases: *x", "error[yaml-syntax]: Unresolved alias", ""],
    ["a list", "- a", "a file of cases has the wrong type", ""],
    ["nothing", "", "a file of cases has the wrong type", ""],
  ])("with %s is refused, with the place", (_, text, message, hint) => {
    const { plans } = read(text);
    expect(plans).toEqual([]);
    expect(complaints(text).join("\n")).toContain(message);
    expect(complaints(text).join("\n")).toContain(hint);
  });

  it("reports everything that is wrong at once", () => {
    expect(complaints(oneCase("reqest: {}\nexpect: { statsu: 1, bdoy: x }"))).toHaveLength(3);
  });

  it("is no trouble that can be thrown, whatever it holds", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json().map((json) => `filter: f\ncases: ${json}`), fc.json()), (text) => {
      const { findings, plans } = read(text);
      return findings.length > 0 || plans.length > 0;
    }));
  });

  /** `npx vitest run --project unit test/unit/cases -u` writes it. */
  it("is described to editors by the schema beside the code", async () => {
    await expect(`${JSON.stringify({ $schema: "http://json-schema.org/draft-07/schema#", ...FileSchema }, null, 2)}\n`).toMatchFileSnapshot("../../../harness/cases/cases.schema.json");
  });
});

describe("a table", () => {
  const table = (body: string): ReturnType<typeof read> => read(oneCase(body));

  it("makes a case of each row", () => {
    const { plans, findings } = table('table:\n  - { path: /a, status: 200 }\n  - { path: /b, status: 403 }\nrequest: { path: "${path}/x" }\nexpect: { status: "${status}" }');
    expect(findings).toEqual([]);
    expect(plans.map(({ name }) => name)).toEqual(["x [1: path=/a, status=200]", "x [2: path=/b, status=403]"]);
    expect(plans.map(({ steps }) => [steps[0]!.request?.path, steps[0]!.expect.status])).toEqual([["/a/x", 200], ["/b/x", 403]]);
    expect(plans.map(({ where }) => where.line)).toEqual([5, 6]);
  });

  it("fills in lists, numbers and configurations as they are, and leaves out what is null", () => {
    const { plans, findings } = table('table:\n  - { peer: [a, b], config: { n: [1] } }\n  - { peer: null, config: text }\nconfig: "${config}"\nrequest: { peer: "${peer}" }\nexpect: { status: 200 }');
    expect(findings).toEqual([]);
    expect(plans.map(({ config, steps }) => [config, steps[0]!.request])).toEqual([['{"n":[1]}', { peer: ["a", "b"] }], ["text", {}]]);
  });

  it.each([
    ["a column that no case uses", 'table: [{ path: /a, pth: /b }]\nrequest: { path: "${path}" }\nexpect: { status: 200 }', "some/cases.yaml:4:25: error[table-column]: nothing in this case uses ${pth}", "did you mean `path`?"],
    ["a name that no row has", 'table: [{ path: /a }]\nrequest: { path: "${path}", method: "${pat}" }\nexpect: { status: 200 }', "no row of the table has `pat`", "did you mean ${path}?"],
    ["no rows", "table: []\nexpect: { status: 200 }", "some/cases.yaml:4:12: error[wrong-value]: the table has no rows", "rows such as"],
    ["rows that are no mappings", 'table: [null, 3, { a: 1 }]\nexpect: { status: "${a}" }', "this row of the table is no mapping", "found: the number 3"],
    ["a row that lacks one", 'table:\n  - { path: /a }\n  - {}\nrequest: { path: "${path}" }\nexpect: { status: 200 }', "some/cases.yaml:6:9: error[table-column]: this row has no `path`", ""],
    ["a value that doesn't fit", 'table: [{ status: ok }]\nexpect: { status: "${status}" }', "`expect.status` has the wrong type", "a status, 100 to 599"],
  ])("with %s is refused", (_, body, message, hint) => {
    expect(complaints(oneCase(body)).join("\n")).toContain(message);
    expect(complaints(oneCase(body)).join("\n")).toContain(hint);
  });
});

describe("substitution", () => {
  it("leaves alone what it doesn't know", () => {
    expect(substitute({ a: "${x} ${y}", "${x}": ["${x}", null] }, { x: 1 })).toEqual({ a: "1 ${y}", "1": [1, null] });
  });

  it("leaves anything without a name in it as it was", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      fc.pre(placeholders(value).size === 0);
      expect(substitute(value, { x: 1 })).toEqual(value);
    }));
  });

  it("finds every name that it would fill in", () => {
    expect([...placeholders({ a: ["${x}", { "${y}": "-${z}-" }] })]).toEqual([["x", ["a", 0]], ["y", ["a", 1]], ["z", ["a", 1, "${y}"]]]);
  });

  it("names rows shortly", () => {
    expect(rowName({ a: "1", b: null, c: "x".repeat(100) })).toBe(`a=1, b=none, c=${"x".repeat(39)}…`);
  });
});
