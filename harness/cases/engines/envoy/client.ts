/** The client of every case: a connection of its own for each request, from the address and with the certificate that the case says. */
import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { DESTINATION, SOURCE_PORT } from "../../connections.ts";
import type { HeaderPairs, RequestPlan } from "../../plan.ts";
import type { Certificates } from "./certificates.ts";
import { sendHttp1, sendRaw } from "./client-http1.ts";
import { sendHttp2 } from "./client-http2.ts";

export const TIMEOUT_MS = 30_000;

export interface Answer {
  /** Undefined: the connection ended without one. */
  status: number | undefined;
  headers: HeaderPairs;
  body: Uint8Array;
  trailers: HeaderPairs;
  complete: boolean;
}

export const NO_ANSWER: Answer = { status: undefined, headers: [], body: new Uint8Array(0), trailers: [], complete: false };

export async function send(plan: RequestPlan, port: number, certificates: Certificates): Promise<Answer> {
  const credential = plan.peer && (await certificates.client(plan.peer.uriSans));
  const socket = connect({ host: "127.0.0.1", port, localAddress: plan.direct, noDelay: true });
  try {
    await once(socket, "connect");
    const { source, direct, destination } = plan;
    if (source !== direct || destination) socket.write(proxyLine(source, destination));
    if (!plan.tls) return await exchange(plan, socket);
    const secure = connectTls({
      socket,
      ca: certificates.authority.certificate,
      ALPNProtocols: [plan.protocol === "http2" ? "h2" : "http/1.1"],
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
export function proxyLine(source: string, destination: RequestPlan["destination"]): string {
  const six = isIPv6(source);
  return `PROXY ${six ? "TCP6" : "TCP4"} ${source} ${destination?.address ?? (six ? "::1" : DESTINATION.address)} ${SOURCE_PORT} ${destination?.port ?? DESTINATION.port}\r\n`;
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
  });
}

function exchange(plan: RequestPlan, socket: Socket): Promise<Answer> {
  // A connection that breaks is an answer that isn't complete.
  socket.on("error", () => {});
  if (plan.raw !== undefined) return sendRaw(plan, plan.raw, socket);
  return plan.protocol === "http2" ? sendHttp2(plan, socket) : sendHttp1(plan, socket);
}
