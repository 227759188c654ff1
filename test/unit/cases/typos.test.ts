import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMap, isScalar, parseDocument, visit } from "yaml";
import { readCases } from "../../../harness/cases/index.ts";

/** Every field of the format, at every level where one can stand. */
const EVERYTHING = `filter: authz
root-id: authz
config: text
routes:
  default: { arms: [v2] }
clusters:
  auth:
    - { when: { method: GET, path: /, headers: { a: b }, rpc: a.B/C }, status: 200, body: [a, { wait: 5ms }, { reset: true }], delay: 5ms }
  slow: { fail: timeout }
  users: { grpc: { messages: [{ hex: "00" }], status: 0, message: ok, metadata: { a: b }, trailers: { a: b } } }
cases:
  - name: a
    engines: [host]
    because: it pins a property
    request:
      method: GET
      path: /
      host: null
      headers: { x: [a] }
      body: [a, { wait: 5ms }]
      trailers: { x: "1" }
      protocol: http2
      abort: 5ms
      peer: spiffe://a/b
      sni: a.test
      tls: true
      source: 10.0.0.1
      direct: 127.0.0.1
      destination: 10.0.0.1:80
      route: default
      properties: { a: 1 }
    upstream: { status: 200, headers: { a: b }, body: a, trailers: { x: "1" }, protocol: http2, delay: 5ms, reset: true }
    repeat: 2
    expect:
      status: 200
      headers: { x: null }
      body: a
      body-contains: a
      trailers: { x: "1" }
      grpc: { status: 0, message: ok, messages: a }
      complete: true
      denied: false
      route: default
      arm: stable
      upstream: { headers: { x: "1" }, body: a, path: /, trailers: { x: "1" }, messages: a }
      calls: { any-order: [{ cluster: auth, method: GET, path: /, headers: { a: b }, body: a, body-contains: a, trailers: { a: b }, rpc: a.B/C, messages: a, count: 2 }] }
      metrics: [{ name: x, labels: { a: b }, delta: 1, value: 1, count: 1, values: [1] }]
      logs: a
      no-logs: b
      time: [0ms, 1s]
      share: { stable: [0, 1] }
      snapshot: { of: [response], mask: [x] }
  - name: b
    request: { grpc: a }
    steps:
      - { wait: 5ms, request: { path: / }, upstream: { grpc: { messages: a } }, clusters: { auth: {} }, repeat: 2, expect: { status: 200 } }
  - name: connection
    connection:
      peer: [spiffe://a/b]
      sni: a.test
      tls: true
      source: 10.0.0.1
      direct: 127.0.0.1
      destination: 10.0.0.1:80
      send: [a, { base64: YQ== }, { wait: 5ms }, { await: { base64: YQ== } }, { await-end: true }, { reset: true }]
    upstream: { send: [{ await: a }, { end: true }] }
    expect: { received: { base64: YQ== }, closed: filter, upstream: { received: a } }
  - name: plain connection
    steps:
      - { connection: { send: a }, expect: { upstream: { connected: true } } }
  - name: c
    table: [{ a: b }]
    expect: { configuration-error: "\${a}" }
`;

/** Names that anybody may choose, below these fields. */
const FREE = new Set(["routes", "clusters", "headers", "trailers", "metadata", "labels", "share", "properties", "table"]);

interface Field {
  name: string;
  start: number;
  line: number;
}

function fields(text: string): Field[] {
  const found: Field[] = [];
  visit(parseDocument(text), {
    Pair(_, pair, path) {
      const parent = path.findLast((each) => each !== null && typeof each === "object" && "key" in each && isScalar(each.key));
      const parentName = parent && "key" in parent && isScalar(parent.key) ? String(parent.key.value) : "";
      if (!isScalar(pair.key) || FREE.has(parentName) || !isMap(path.at(-1))) return;
      const start = pair.key.range![0];
      found.push({ name: String(pair.key.value), start, line: text.slice(0, start).split("\n").length });
    },
  });
  return found;
}

describe("a file that uses every field", () => {
  it("is valid", () => {
    expect(readCases("all.yaml", EVERYTHING).findings).toEqual([]);
  });

  const all = fields(EVERYTHING);
  // What is left of a name of two letters is anything.
  const long = all.filter(({ name }) => name.length >= 4);

  it("with any field misspelt names its line, and what was meant", () => {
    expect(long.length).toBeGreaterThan(80);
    fc.assert(
      fc.property(fc.constantFrom(...long), fc.nat(), fc.constantFrom("swap", "drop", "double", "replace"), ({ name, start, line }, at, kind) => {
        const i = at % (name.length - 1);
        const typo = {
          swap: name.slice(0, i) + name[i + 1]! + name[i]! + name.slice(i + 2),
          drop: name.slice(0, i) + name.slice(i + 1),
          double: name.slice(0, i) + name[i]! + name.slice(i),
          replace: `${name.slice(0, i)}q${name.slice(i + 1)}`,
        }[kind];
        fc.pre(typo !== name && /^[a-z-]+$/.test(typo) && !all.some((other) => other.name === typo));
        const { plans, findings } = readCases("all.yaml", EVERYTHING.slice(0, start) + typo + EVERYTHING.slice(start + name.length));
        expect(plans).toEqual([]);
        const finding = findings.find((each) => each.code === "unknown-field");
        expect(finding?.where?.line).toBe(line);
        expect(finding?.message).toContain(`\`${typo}\``);
        expect(finding?.fix).toMatch(/^did you mean `[a-z-]+`\?$/);
        // Another field may be as near (`message` and `messages`); the one meant is mostly it.
        const alike = all.some((other) => other.name !== name && (name.startsWith(other.name) || other.name.startsWith(name)));
        if (kind !== "replace" && kind !== "drop" && !alike) expect(finding?.fix).toBe(`did you mean \`${name}\`?`);
      }),
      { numRuns: 300 },
    );
  });
});
