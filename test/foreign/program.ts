import type { Scenario } from "../conformance/scenario.ts";

/**
 * What the program in rust/, go/ and cpp/ does, the same in each: it notes what it sees as log lines `P|name|value`.
 *
 * /headers  reads, changes, adds and removes request headers; properties, shared data, a metric, a foreign function
 * /body     holds the request's body, sends it on in capitals; appends "!" to the response's
 * /call     holds the request until an HTTP callout has answered
 * /reply    answers 418 by itself
 * /panic    fails the way its language does
 *
 * When it is configured it notes environment, arguments, clock and randomness, writes to stdout and stderr, and asks
 * for ticks.
 */
export const scenario = (language: string): Scenario => ({
  id: language,
  allowHeadersStopIteration: true, // so that a held request still gets its body
  config: "plugin configuration",
  vmConfig: "vm configuration",
  environment: { KEY: "value" },
  requests: [
    { path: "/headers", headers: [["x-one", "1"], ["x-two", "a"], ["x-two", "b"], ["x-three", "ü"]] },
    { path: "/body", method: "POST", headers: [["content-type", "text/plain"]], body: ["one ", "two"], response: { body: ["three ", "four"] } },
    { path: "/call", response: { delayMs: 60 } }, // time enough for a tick
    { path: "/reply" },
    { path: "/other", method: "POST", body: ["passes"], response: { status: 201, body: ["through"] } },
    { path: "/panic" },
    { path: "/after" },
  ],
  afterMs: 200,
});

/** Three VMs are configured (the canary's, the main thread's, one worker's), two of them live on to tick. */
const thrice = (value: string): string[] => [value, value, value];

/** What every language's program notes and what client and upstream see, on either engine. */
export const expected: Readonly<Record<string, readonly string[]>> = {
  vm: thrice("vm configuration"),
  config: thrice("plugin configuration"),
  env: thrice("value"),
  args: thrice("0"),
  clock: thrice("true"),
  random: thrice("true"),
  stdout: thrice("hello"),
  stderr: thrice("oops"),
  tick: ["first", "first"],
  header: ["1"],
  missing: ["none"],
  pairs: ["x-two=a,x-two=b,x-three=ü"],
  property: ["/headers"],
  noproperty: ["none"],
  state: ["state"],
  shared: ["value"],
  cas: ["mismatch"],
  metric: ["2"],
  foreign: ["round trip"],
  call: ["200 yes answer to /from-foreign: ping"],
  log: ["/headers 200", "/body 200", "/call 200", "/reply 418", "/other 201"],
  "upstream.0": ["x-three=ü x-one=changed x-foreign=yes |  | "],
  "client.0": ["200 | x-seen-status=200 |  | "],
  "upstream.1": ["content-type=text/plain | ONE TWO | "],
  "client.1": ["200 | x-seen-status=200 | three four! | "],
  "upstream.2": ["x-called=yes |  | "],
  "client.2": ["200 | x-seen-status=200 |  | "],
  "client.3": ["418 | x-reply=yes content-type=text/plain x-seen-status=418 | teapot | "],
  "upstream.4": [" | passes | "],
  "client.4": ["201 | x-seen-status=201 | through | "],
  "client.5": ["503 |  |  | "],
  "client.6": ["503 |  |  | "],
};

const work = [String(4 * 2 ** 20)];

/** What one language notes besides. */
export const additional: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  go: { work },
  tinygo: { work },
  "tinygo-library": { work },
};
