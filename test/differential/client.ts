/** Sends many requests on one connection and takes their answers: HTTP/1.1 written by hand, so that any bytes can be sent, and HTTP/2. */
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Credential } from "../../harness/scenario/x509.ts";

const TIMEOUT_MS = 30_000;

export interface ConnectionPlan {
  port: number;
  /** Address of our end: the physical peer. */
  direct: string;
  /** By the PROXY protocol; undefined: what the socket says. */
  proxied?: { source: string; destination: string; port: number } | undefined;
  tls?: { authority: string; credential: Credential | undefined; sni: string | undefined } | undefined;
  http2: boolean;
}

export interface RequestPlan {
  method: string;
  path: string;
  host: string;
  headers: readonly (readonly [string, string])[];
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
}

/** An answer for each request; undefined where the connection ended without one. */
export async function exchange(plan: ConnectionPlan, requests: readonly RequestPlan[]): Promise<(Answer | undefined)[]> {
  const answers: (Answer | undefined)[] = [];
  // A request that Envoy's codec refuses ends its connection: what comes after it goes to another one.
  while (answers.length < requests.length) {
    const rest = requests.slice(answers.length);
    const socket = await open(plan).catch((error: unknown) => {
      throw new Error(`no connection as ${JSON.stringify({ ...plan, tls: plan.tls && { sni: plan.tls.sni, certificate: plan.tls.credential?.certificate } })}`, { cause: error });
    });
    try {
      if (plan.http2) answers.push(...(await overHttp2(socket, rest)));
      else {
        const got = await overHttp1(socket, rest);
        answers.push(...got);
        if (got.length === 0 || (got.length < rest.length && got.at(-1)!.status < 400)) answers.push(undefined);
      }
    } finally {
      socket.destroy();
    }
  }
  return answers;
}

async function open({ port, direct, proxied, tls, http2 }: ConnectionPlan): Promise<Socket> {
  const socket = connect({ host: isIPv6(direct) ? "::1" : "127.0.0.1", port, localAddress: direct, noDelay: true });
  await opened(socket, "connect");
  if (proxied) socket.write(`PROXY ${isIPv6(proxied.source) ? "TCP6" : "TCP4"} ${proxied.source} ${proxied.destination} 40000 ${proxied.port}\r\n`);
  if (!tls) return socket;
  const { authority, credential, sni } = tls;
  const secure = connectTls({
    socket,
    ca: authority,
    ALPNProtocols: [http2 ? "h2" : "http/1.1"],
    ...(credential && { cert: credential.certificate, key: credential.key }),
    ...(sni !== undefined && { servername: sni }),
    checkServerIdentity: () => undefined,
  });
  await opened(secure, "secureConnect");
  return secure;
}

function opened(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off("error", reject);
      socket.on("error", () => undefined); // noticed by the missing answer
      resolve();
    });
    socket.once("error", reject);
  });
}

function overHttp1(socket: Socket, requests: readonly RequestPlan[]): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const answers: Answer[] = [];
    let buffer = "";
    const timer = setTimeout(() => reject(new Error(`${answers.length} of ${requests.length} answers within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(answers);
    };
    socket.on("data", (chunk: Buffer) => {
      buffer += chunk.toString("latin1");
      for (;;) {
        const head = buffer.indexOf("\r\n\r\n");
        if (head < 0) return;
        const [line, ...fields] = buffer.slice(0, head).split("\r\n");
        const headers = Object.fromEntries(fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 2)]));
        const length = requests[answers.length]!.method === "HEAD" ? 0 : Number(headers["content-length"] ?? 0);
        if (buffer.length < head + 4 + length) return;
        buffer = buffer.slice(head + 4 + length);
        answers.push({ status: Number(line!.split(" ")[1]), headers });
        if (answers.length === requests.length || headers["connection"] === "close") return end();
      }
    });
    socket.on("close", end);
    const text = requests.map(({ method, path, host, headers }) => `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    socket.write(text.join(""), "latin1");
  });
}

async function overHttp2(socket: Socket, requests: readonly RequestPlan[]): Promise<(Answer | undefined)[]> {
  const session: ClientHttp2Session = connectHttp2("http://unused", { createConnection: () => socket });
  session.on("error", () => undefined);
  const one = ({ method, path, host, headers }: RequestPlan): Promise<Answer | undefined> =>
    new Promise((resolve) => {
      const fields: Record<string, string[]> = {};
      for (const [name, value] of headers) (fields[name] ??= []).push(value);
      const stream = session.request({ ":method": method, ":path": path, ":authority": host, ":scheme": "http", ...fields }, { endStream: true });
      let answer: Answer | undefined;
      stream.on("response", ({ ":status": status, ...rest }) => (answer = { status: status!, headers: rest as Record<string, string> }));
      stream.on("error", () => undefined);
      stream.on("close", () => resolve(answer));
      stream.resume();
    });
  try {
    return await Promise.all(requests.map(one));
  } finally {
    session.destroy();
  }
}
