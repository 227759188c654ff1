/** Nothing that was meddled with is taken: not by the command, not at start, not as an update, not from the source. */
import { beforeAll, describe, expect, test } from "vitest";
import { open } from "../../../harness/bundle/envelope.ts";
import { attacks } from "./attacks.ts";
import { authz, Node, NOW, payload, signed, signer, trust } from "./support.ts";

// Compiles the module, which takes its time on a busy machine.
beforeAll(authz, 300_000);

const RUNNING = 5;
const list = attacks(NOW, RUNNING);
const mounted = (bundle: string): string => `{"signing":${JSON.stringify(trust())},"bundle":${bundle}}`;
/** Version 5 allows /v5, version 6 /v6; whatever else is let through was opened. */
const PATHS = ["/v5", "/v6", "/", "/other"];

test("there are many of them", () => expect(list.length).toBeGreaterThanOrEqual(75));

describe.each(list)("$name", ({ text, reason, compiled, whole }) => {
  test("for the command", () => {
    const opened = open(text, { keys: [signer.publicKey], audience: "edge-1", minimumVersion: RUNNING + 1, now: NOW });
    expect(opened.reason).toBe(compiled ? undefined : reason);
  });

  test("from the source", async () => {
    const node = new Node({ clusters: { bundles: () => ({ status: 200, body: text }) } });
    expect(await node.offer({ signing: trust(), bundle: signed(payload(RUNNING)), source: { cluster: "bundles", path: "/" } })).toBe("");
    node.running!.tick(3_000);
    expect(await node.allowed(...PATHS)).toEqual([reason === undefined ? "/v6" : "/v5"]);
    expect([node.gauge("bundle_version"), node.gauge("bundle_rejected")]).toEqual(reason === undefined ? [6, 0] : [5, 1]);
    if (reason === undefined) return;
    expect(node.rejected(reason)).toBeGreaterThan(0);
    expect(node.lines.some((line) => line.startsWith(`bundle refused: ${reason}`))).toBe(true);
  });

  // A text that is no JSON can't stand in a configuration.
  if (!whole) test("mounted", async () => {
    const node = new Node();
    await node.offer({ signing: trust(), bundle: signed(payload(RUNNING)) });
    const why = await node.offer(mounted(text));
    expect(await node.allowed(...PATHS)).toEqual([reason === undefined ? "/v6" : "/v5"]);
    expect([why === "", node.gauge("configuration_rejected")]).toEqual(reason === undefined ? [true, 0] : [false, 1]);
  });
});
