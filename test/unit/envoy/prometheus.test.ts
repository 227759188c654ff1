import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePrometheus } from "../../../harness/envoy/index.ts";
import { SelvedgeError } from "../../../harness/errors.ts";

describe("parsePrometheus", () => {
  it("reads what Envoy writes", () => {
    const text = `# TYPE envoy_requests counter
envoy_requests{route="prod/r/0",arm="v1"} 12

# TYPE selvedge_request_duration_milliseconds histogram
selvedge_request_duration_milliseconds_bucket{le="0.5"} 0
selvedge_request_duration_milliseconds_bucket{le="+Inf"} 7
selvedge_request_duration_milliseconds_sum 41.25
envoy_server_live{} 1
with_timestamp 3 1395066363000
`;
    expect(parsePrometheus(text)).toEqual([
      { name: "envoy_requests", labels: { route: "prod/r/0", arm: "v1" }, value: 12 },
      { name: "selvedge_request_duration_milliseconds_bucket", labels: { le: "0.5" }, value: 0 },
      { name: "selvedge_request_duration_milliseconds_bucket", labels: { le: "+Inf" }, value: 7 },
      { name: "selvedge_request_duration_milliseconds_sum", labels: {}, value: 41.25 },
      { name: "envoy_server_live", labels: {}, value: 1 },
      { name: "with_timestamp", labels: {}, value: 3 },
    ]);
  });

  it("unescapes label values, and reads special numbers", () => {
    expect(parsePrometheus(String.raw`a{b="quote \" slash \\ line \n brace } comma ,",c=""} NaN`)).toEqual([{ name: "a", labels: { b: 'quote " slash \\ line \n brace } comma ,', c: "" }, value: NaN }]);
    expect(parsePrometheus("a +Inf\nb -Inf\nc 1e-3\r\n").map(({ value }) => value)).toEqual([Infinity, -Infinity, 0.001]);
  });

  it.each([
    ["a{b=1} 2", "1:3", 'a label: name="value"'],
    ['ok 1\na{b="c} 2', "2:3", 'a label: name="value"'],
    ["a", "1:2", "a number"],
    ["a toString", "1:2", "a number"],
    ["a 1 2 3", "1:2", "at most a timestamp"],
    ["{} 1", "1:1", "a metric name"],
  ])("says where %j is malformed", (text, place, expected) => {
    expect(() => parsePrometheus(text)).toThrow(`metrics:${place}: error[prometheus-malformed]`);
    expect(() => parsePrometheus(text)).toThrow(expected);
  });

  it("reads back any label values", () => {
    const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    const values = fc.dictionary(fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/), fc.string({ unit: "binary" }).filter((text) => !/[\r\u2028\u2029]/.test(text)));
    fc.assert(
      fc.property(values, fc.double({ noNaN: true }), (labels, value) => {
        const written = Object.entries(labels).map(([name, text]) => `${name}="${escape(text)}"`);
        const [sample] = parsePrometheus(`m{${written.join(",")}} ${value === Infinity ? "+Inf" : value}\n`);
        expect(sample!.labels).toEqual({ ...labels });
        expect(sample!.value).toBe(value === 0 ? sample!.value : value);
      }),
    );
  });

  it("throws nothing but findings, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."ab{}=\"\\,# \n1.e+-") }), (text) => {
        try {
          parsePrometheus(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SelvedgeError);
        }
      }),
    );
  });
});
