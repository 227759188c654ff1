/** The services behind the node: real HTTP servers on the Backends' addresses that say who they are. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createProbe } from "node:net";
import { onCleanup } from "../cleanup.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import type { UpstreamModel } from "./model.ts";
import { latencySampler, randomFrom } from "./random.ts";

/** The response header that names the Backend that answered. */
export const SERVED_BY = "x-served-by";

export interface RunningUpstreams {
  stop(): Promise<void>;
}

/** Whether every address that these upstreams need is free. Starts nothing. */
export async function checkUpstreamPorts(upstreams: readonly UpstreamModel[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const owners = new Map<string, string>();
  for (const { id, endpoints } of upstreams) {
    for (const { address, port } of endpoints) {
      const place = `${address}:${port}`;
      const other = owners.get(place);
      if (other !== undefined) findings.push({ code: "upstream-port-twice", severity: "error", message: `Backends ${other} and ${id} have the same endpoint ${place}`, fix: "give one of them another port" });
      else {
        const error = await tryBind(address, port);
        if (error !== undefined) findings.push(portFinding(id, place, error));
      }
      owners.set(place, id);
    }
  }
  return findings;
}

/** Starts all of them, or none. */
export async function startUpstreams(upstreams: readonly UpstreamModel[]): Promise<RunningUpstreams> {
  const servers: Server[] = [];
  const close = (server: Server): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map(close));
    forget();
  };
  // Sockets end with the process: there is nothing to do for a hard end.
  const forget = onCleanup({ name: "upstreams", run: stop, now: () => {} });
  try {
    for (const upstream of upstreams) {
      const handle = handler(upstream);
      for (const { address, port } of upstream.endpoints) servers.push(await listen(createServer(handle), upstream.id, address, port));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

function listen(server: Server, id: string, address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new SelvedgeError(portFinding(id, `${address}:${port}`, error.code ?? error.message))));
    server.listen({ host: address, port, exclusive: true }, () => resolve(server));
    // Envoy keeps connections; the server must not be the first to close one, or a request meets a closing socket.
    server.keepAliveTimeout = 0;
  });
}

function handler(upstream: UpstreamModel): (request: IncomingMessage, response: ServerResponse) => void {
  const random = randomFrom(upstream.id);
  const latency = upstream.latency ? latencySampler(upstream.latency, random) : () => 0;
  const answer = (request: IncomingMessage, response: ServerResponse, failed: boolean): void => {
    const status = failed ? (upstream.errors?.status ?? 503) : 200;
    const body = JSON.stringify({ servedBy: upstream.id, status, method: request.method, path: request.url });
    response.writeHead(status, { "content-type": "application/json", [SERVED_BY]: upstream.id });
    response.end(request.method === "HEAD" ? undefined : body.padEnd(upstream.bodyBytes));
  };
  return (request, response) => {
    const failed = upstream.errors !== undefined && random() < upstream.errors.ratio;
    const delay = latency();
    request.resume();
    request.on("end", () => {
      if (delay < 0.5) answer(request, response, failed);
      else setTimeout(answer, delay, request, response, failed).unref();
    });
  };
}

/** The error's code, where the address can't be had. */
function tryBind(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createProbe();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function portFinding(id: string, place: string, error: string): Finding {
  const port = place.slice(place.lastIndexOf(":") + 1);
  return {
    code: error === "EADDRINUSE" ? "upstream-port-in-use" : "upstream-port",
    severity: "error",
    message: error === "EADDRINUSE" ? `the upstream for Backend ${id} can't listen on ${place}: something else does already` : `the upstream for Backend ${id} can't listen on ${place}`,
    found: error,
    fix: error === "EADDRINUSE" ? `stop it (\`ss -tlnp sport = :${port}\` names it), or give the Backend another port` : "give the Backend an endpoint on 127.0.0.1 and a port above 1023",
  };
}
