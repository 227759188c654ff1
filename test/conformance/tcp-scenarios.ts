import type { Scenario } from "./scenario.ts";

/** What happens on a connection, one thing after another; `next` closes this connection and opens another. */
export type TcpStep = { client: string } | { upstream: string } | "clientEnd" | "upstreamEnd" | "clientReset" | "next";

export interface TcpScenario extends Pick<Scenario, "id" | "failurePolicy" | "failOpen"> {
  steps: TcpStep[];
}

const policies: Pick<Scenario, "id" | "failurePolicy" | "failOpen">[] = [
  { id: "closed", failurePolicy: "FAIL_CLOSED" }, { id: "open", failurePolicy: "FAIL_OPEN" }, { id: "fail-open", failOpen: true },
];

/** Connections through the probe tcp; see there for what the first byte does. */
export const tcpScenarios: TcpScenario[] = [
  { id: "both-ways", steps: [{ client: "hello" }, { upstream: "answer" }, { client: "more" }, "clientEnd"] },
  { id: "upstream-ends", steps: [{ client: "hello" }, { upstream: "answer" }, "upstreamEnd"] },
  { id: "client-breaks", steps: [{ client: "hello" }, "clientReset"] },
  { id: "stop", steps: [{ client: "s1" }, { client: "s2" }, { upstream: "answer" }, "clientEnd"] },
  { id: "stop-then-go", steps: [{ client: "w1" }, { client: "x2" }, "clientEnd"] },
  { id: "wait-end", steps: [{ client: "w1" }, "clientEnd"] },
  { id: "stop-upstream", steps: [{ client: "hello" }, { upstream: "s1" }, { upstream: "x2" }, "clientEnd"] },
  { id: "edit", steps: [{ client: "r1" }, { client: "a2" }, { client: "p3" }, { client: "e4" }, { upstream: "r5" }, { upstream: "a6" }, { upstream: "p7" }, { upstream: "e8" }, "clientEnd"] },
  { id: "close-downstream", steps: [{ client: "c1" }] },
  { id: "close-upstream", steps: [{ client: "u1" }] },
  { id: "close-downstream-later", steps: [{ client: "hello" }, { upstream: "c1" }] },
  { id: "close-upstream-later", steps: [{ client: "hello" }, { upstream: "u1" }] },
  { id: "properties", steps: [{ client: "g1" }, { upstream: "g2" }, "clientEnd"] },
  { id: "second", steps: [{ client: "one" }, "next", { client: "two" }, "clientEnd"] },
  ...policies.flatMap((policy): TcpScenario[] => [
    { ...policy, id: `${policy.id}-trap`, steps: [{ client: "t1" }, "next", { client: "after" }, "clientEnd"] },
    { ...policy, id: `${policy.id}-trap-upstream`, steps: [{ client: "hello" }, { upstream: "t1" }, "next", { client: "after" }, "clientEnd"] },
  ]),
];
