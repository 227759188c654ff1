/** The client of every case: a connection of its own for each request, from the address and with the certificate that the case says. */
import { request as httpRequest } from "node:http";
import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HeaderPairs, RequestPlan } from "../../plan.ts";
import type { Certificates } from "./certificates.ts";
import { pairsOf } from "./upstream.ts";

const TIMEOUT_MS = 30_000;

export interface Answer {
  /** Undefined: the connection ended without one. */
  status: number | undefined;
  headers: HeaderPairs;
  body: string;
}

export async function send(plan: RequestPlan, port: number, certificates: Certificates): Promise<Answer> {
  const credential = plan.peer && (await certificates.client(plan.peer.uriSans));
  const socket = connect({ host: "127.0.0.1", port, localAddress: plan.direct });
  try {
    await once(socket, "connect");
    const { source, direct, destination } = plan;
    if (source !== direct || destination) socket.write(proxyLine(source, destination));
    if (!plan.tls) return await exchange(plan, socket);
    const secure = connectTls({
      socket,
      ca: certificates.authority.certificate,
      ...(credential && { cert: credential.certificate, key: credential.key }),
      ...(plan.sni !== undefined && { servername: plan.sni }),
      checkServerIdentity: () => undefined, // the name is the case's, and not what is tested
    });
    await once(secure, "secureConnect");
    return await exchange(plan, secure);
  } finally {
    socket.destroy();
  }
}

/** https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt, version 1 */
function proxyLine(source: string, destination: RequestPlan["destination"]): string {
  const six = isIPv6(source);
  return `PROXY ${six ? "TCP6" : "TCP4"} ${source} ${destination?.address ?? (six ? "::1" : "127.0.0.1")} 40000 ${destination?.port ?? 10_000}\r\n`;
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
  });
}

function exchange(plan: RequestPlan, socket: Socket): Promise<Answer> {
  const { method, path, host, headers, body, trailers } = plan;
  return new Promise((resolve, reject) => {
    const call = httpRequest({ createConnection: () => socket, method, path, headers: ["host", host, ...headers.flat()], timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, headers: pairsOf(response.rawHeaders), body: Buffer.concat(chunks).toString() }));
    });
    call.on("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    call.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? resolve({ status: undefined, headers: [], body: "" }) : reject(error)));
    if (trailers.length) call.addTrailers(trailers);
    for (const chunk of body) call.write(chunk);
    call.end();
  });
}
