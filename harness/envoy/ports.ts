import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { Finding } from "../errors.ts";
import type { Address, Bootstrap } from "./config.ts";

interface Claim {
  /** For messages: `listener edge`. */
  owner: string;
  address: string;
  port: number;
  udp: boolean;
}

/**
 * Looks whether every address that this bootstrap listens on is free, before anything is started: two listeners on one
 * port, a port that another process has, one that this user may not have.
 */
export async function checkPorts(bootstrap: Bootstrap): Promise<Finding[]> {
  const claims = claimsOf(bootstrap);
  const findings = duplicates(claims);
  if (findings.length) return findings;
  const results = await Promise.all(claims.map(async (claim) => ({ claim, error: await tryBind(claim) })));
  return results.flatMap(({ claim, error }) => (error === null ? [] : [explain(claim, error)]));
}

function claimsOf(bootstrap: Bootstrap): Claim[] {
  const claim = (owner: string, address?: Address): Claim[] => {
    const socket = address?.socket_address;
    if (!socket?.port_value) return []; // a pipe, or any free port
    return [{ owner, address: socket.address ?? "0.0.0.0", port: socket.port_value, udp: socket.protocol === "UDP" }];
  };
  const listeners = bootstrap.static_resources?.listeners ?? [];
  return [
    ...claim("the admin interface", bootstrap.admin?.address),
    ...listeners.flatMap((listener, index) => {
      const owner = `listener ${listener.name ?? `#${index + 1}`}`;
      return [listener.address, ...(listener.additional_addresses ?? []).map((entry) => entry.address)].flatMap((address) => claim(owner, address));
    }),
  ];
}

function duplicates(claims: Claim[]): Finding[] {
  const owners = new Map<string, Claim>();
  return claims.flatMap((claim): Finding[] => {
    const key = `${claim.udp ? "udp" : "tcp"} ${claim.address}:${claim.port}`;
    const first = owners.get(key);
    owners.set(key, first ?? claim);
    if (!first) return [];
    return [{ code: "envoy-port-twice", severity: "error", message: `${first.owner} and ${claim.owner} both listen on ${claim.address}:${claim.port}`, fix: "give one of them another port" }];
  });
}

/** Binds and lets go again; the error's code where that fails. */
function tryBind(claim: Claim): Promise<string | null> {
  return new Promise((resolve) => {
    if (claim.udp) {
      const socket = createSocket({ type: claim.address.includes(":") ? "udp6" : "udp4" });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.bind({ address: claim.address, port: claim.port, exclusive: true }, () => socket.close(() => resolve(null)));
      return;
    }
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: claim.address, port: claim.port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

function explain({ owner, address, port, udp }: Claim, error: string): Finding {
  const place = `${address}:${port}`;
  const finding = (code: string, message: string, fix: string): Finding => ({ code, severity: "error", message, found: error, fix });
  if (error === "EADDRINUSE") return finding("envoy-port-in-use", `${owner} can't listen on ${place}: something else does already`, `stop it (\`ss -${udp ? "u" : "t"}lnp sport = :${port}\` names it), or use another port`);
  if (error === "EACCES") return finding("envoy-port-denied", `${owner} may not listen on ${place} as this user`, "use a port from 1024 on, or give Envoy CAP_NET_BIND_SERVICE");
  if (error === "EADDRNOTAVAIL") return finding("envoy-address-unavailable", `${owner} can't listen on ${place}: this machine has no such address`, "use 127.0.0.1, 0.0.0.0 or an address of this machine");
  return finding("envoy-port", `${owner} can't listen on ${place}`, "use another port");
}
