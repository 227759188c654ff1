/** One connection of a PolicyTest through a real Envoy: who decided, its counters tell. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseMetricName } from "../cases/metrics.ts";
import { converse, type TcpUpstream } from "../cases/engines/envoy/connection.ts";
import type { Certificates } from "../cases/engines/envoy/certificates.ts";
import { changes, snapshot } from "../cases/engines/envoy/metrics.ts";
import type { AccessRequest } from "../decide/request.ts";
import type { AdminClient } from "../envoy/index.ts";
import { fail } from "../errors.ts";
import type { Verdict } from "./host.ts";

const LAG_MS = 5_000;
const [HELLO, WELCOME] = [Buffer.from("hello"), Buffer.from("welcome")];

export interface Lab {
  admin: AdminClient;
  certificates: Certificates;
  upstream: TcpUpstream;
}

/** @param tls whether the listener has it: a connection without a certificate may be one of them */
export async function connectionVerdict({ peer, sni, remote, direct, local }: AccessRequest, port: number, tls: boolean, { admin, certificates, upstream }: Lab): Promise<Verdict> {
  const before = await snapshot(admin);
  const { received } = await converse(
    { tls, ...(tls && peer && { peer: { uriSans: peer } }), ...(tls && sni !== undefined && { sni }), source: remote, direct, destination: local, script: [{ send: HELLO }, { await: WELCOME }] },
    [{ await: HELLO }, { send: WELCOME }], port, certificates, upstream,
  );
  const allowed = WELCOME.equals(received);
  for (const deadline = Date.now() + LAG_MS; ; await sleep(3)) {
    const after = await snapshot(admin);
    // A connection that Envoy still made for one that was denied must not be taken for the next one's.
    if (upstream.accepted < after.connected) {
      if (Date.now() > deadline) fail("envoy-connection-missing", `Envoy says that it made ${after.connected} connections, and ${upstream.accepted} came`);
      continue;
    }
    for (const { name: full } of changes(before, after)) {
      const { name, labels } = parseMetricName(full);
      if (name === `selvedge_authz_${allowed ? "allowed" : "denied"}_total`) return { verdict: allowed ? "allow" : "deny", by: labels.rule === "none" ? "none" : `${labels.policy}#${labels.rule}` };
    }
    return { verdict: allowed ? "allow" : "refuse", by: "none" };
  }
}
