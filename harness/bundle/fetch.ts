/** Fetches a bundle as Envoy does for the filter: the same server, verified by the same authorities. */
import { readFileSync } from "node:fs";
import { request as plainRequest, type RequestOptions } from "node:http";
import { request as secureRequest } from "node:https";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { BundleSource, UpstreamTls } from "../compose/index.ts";

/** As the filter's. */
const MOST_BYTES = 8 * 1024 * 1024;

export interface Server {
  host: string;
  port: number;
  authority: string;
  timeoutSeconds: number;
  tls?: UpstreamTls;
}

export function serversOf({ backend, authority, timeoutSeconds, tls }: BundleSource & { tls?: UpstreamTls }): Server[] {
  return backend.spec.endpoints.flatMap(({ ip, fqdn }) => {
    const host = ip?.address ?? fqdn?.hostname;
    const port = ip?.port ?? fqdn?.port;
    return host === undefined || port === undefined ? [] : [{ host, port, authority, timeoutSeconds, ...(tls && { tls }) }];
  });
}

/** The first server's answer that is one. @throws Error the last one's reason */
export async function fetchBundle(servers: readonly Server[], path: string, signal?: AbortSignal): Promise<string> {
  let failure = new Error("there is no server to ask");
  for (const server of servers) {
    try {
      return await ask(server, path, signal);
    } catch (error) {
      failure = error as Error;
    }
  }
  throw failure;
}

function ask({ host, port, authority, timeoutSeconds, tls }: Server, path: string, signal: AbortSignal | undefined): Promise<string> {
  const limit = AbortSignal.timeout(timeoutSeconds * 1000);
  const options: RequestOptions = { host, port, path, agent: false, headers: { host: authority }, signal: signal ? AbortSignal.any([signal, limit]) : limit };
  return new Promise((resolve, reject) => {
    const request = tls ? secureRequest({ ...options, ...secured(tls) }) : plainRequest(options);
    request.on("error", reject).on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("error", reject).on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if ((bytes += chunk.length) > MOST_BYTES) request.destroy(new Error(`more than ${MOST_BYTES} bytes`));
      }).on("end", () => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
        else resolve(Buffer.concat(chunks).toString());
      });
    }).end();
  });
}

function secured({ sni, authorities, subjectAltNames }: UpstreamTls): object {
  return {
    servername: sni,
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    ca: authorities.map((pem) => ("inline" in pem ? pem.inline : readFileSync(pem.file, "utf8"))),
    checkServerIdentity: (_: string, certificate: PeerCertificate): Error | undefined => {
      if (subjectAltNames.length === 0) return checkServerIdentity(sni, certificate);
      const names = (certificate.subjectaltname ?? "").split(", ");
      const named = subjectAltNames.some(({ type, value }) => names.includes(`${type}:${value}`));
      return named ? undefined : new Error(`its certificate names none of ${subjectAltNames.map(({ value }) => value).join(", ")}`);
    },
  };
}
