/** Sends many requests on one connection and takes their answers: HTTP/1.1 written by hand, so that any bytes can be sent, and HTTP/2. */
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, isIPv6, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import type { Credential } from "../../harness/scenario/x509.ts";
import { bits } from "../unit/authz/oracle.ts";

const TIMEOUT_MS = 60_000;
/** Of what a busy machine may break. */
const ATTEMPTS = 5;

export interface ConnectionPlan {
  port: number;
  /** Address of our end: the physical peer. */
  direct: string;
  /** By the PROXY protocol; undefined: what the socket says. */
  proxied?: { source: string; destination: string; port: number; tlvs?: readonly (readonly [type: number, value: string])[] } | undefined;
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

export interface Exchange {
  /** For each request; undefined where the connection ended without one. */
  answers: (Answer | undefined)[];
  /** A connection broke or took too long, so that some request may have been decided twice. */
  unsure: boolean;
}

export async function exchange(plan: ConnectionPlan, requests: readonly RequestPlan[]): Promise<Exchange> {
  const answers: (Answer | undefined)[] = [];
  let failures = 0;
  let unsure = false;
  // A request that Envoy's codec refuses ends its connection: what comes after it goes to another one.
  while (answers.length < requests.length) {
    const rest = requests.slice(answers.length);
    const socket = await open(plan);
    try {
      if (plan.http2) {
        const { got, unsure: lost } = await overHttp2(socket, rest);
        answers.push(...got);
        unsure ||= lost;
      } else {
        const got = await overHttp1(socket, rest);
        answers.push(...got);
        if (got.length === 0 || (got.length < rest.length && got.at(-1)!.status < 400)) {
          answers.push(undefined);
          unsure = true;
        }
      }
    } catch (error) {
      if (++failures === ATTEMPTS) throw error;
      unsure = true;
    } finally {
      socket.destroy();
    }
  }
  return { answers, unsure };
}

/** A connection whose handshake is done. What can go wrong until then has nothing to do with decisions, and is tried again. */
export async function open(plan: ConnectionPlan): Promise<Socket> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(plan);
    } catch (error) {
      if (attempt < ATTEMPTS) await sleep(100 * attempt);
      else throw new Error(`no connection as ${JSON.stringify({ ...plan, tls: plan.tls && { sni: plan.tls.sni, certificate: plan.tls.credential?.certificate } })}`, { cause: error });
    }
  }
}

async function openOnce({ port, direct, proxied, tls, http2 }: ConnectionPlan): Promise<Socket> {
  const socket = connect({ host: isIPv6(direct) ? "::1" : "127.0.0.1", port, localAddress: direct, noDelay: true });
  await opened(socket, "connect").catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  if (proxied) socket.write(proxyHeader(proxied));
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
  await opened(secure, "secureConnect").catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  return secure;
}

/** Version 1, or 2 where something is to be said besides. */
function proxyHeader({ source, destination, port, tlvs = [] }: NonNullable<ConnectionPlan["proxied"]>): Buffer {
  const six = isIPv6(source);
  if (tlvs.length === 0) return Buffer.from(`PROXY ${six ? "TCP6" : "TCP4"} ${source} ${destination} 40000 ${port}\r\n`);
  const address = (text: string): Buffer => Buffer.from(bits(text)!.padStart(six ? 128 : 32, "0").match(/.{8}/g)!.map((byte) => parseInt(byte, 2)));
  const two = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
  const rest = tlvs.map(([type, value]) => Buffer.concat([Buffer.from([type]), two(Buffer.byteLength(value)), Buffer.from(value)]));
  const body = Buffer.concat([address(source), address(destination), two(40_000), two(port), ...rest]);
  return Buffer.concat([Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), Buffer.from([0x21, six ? 0x21 : 0x11]), two(body.length), body]);
}

function opened(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    const ended = (): void => failed(new Error(`closed before ${event}`));
    const timer = setTimeout(() => failed(new Error(`no ${event} within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    socket.on("error", failed).once("close", ended); // a later error is noticed by the missing answer
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off("close", ended);
      resolve();
    });
  });
}

/** One after another, since Envoy 1.40 answers the first two of many that are sent at once, and closes. @returns up to the one that ended the connection */
function overHttp1(socket: Socket, requests: readonly RequestPlan[]): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const answers: Answer[] = [];
    let buffer = "";
    const timer = setTimeout(() => reject(new Error(`${answers.length} of ${requests.length} answers within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(answers);
    };
    const send = (): void => {
      const { method, path, host, headers } = requests[answers.length]!;
      socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1");
    };
    socket.on("data", (chunk: Buffer) => {
      buffer += chunk.toString("latin1");
      const head = buffer.indexOf("\r\n\r\n");
      if (head < 0) return;
      const [line, ...fields] = buffer.slice(0, head).split("\r\n");
      const headers = Object.fromEntries(fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 2)]));
      const length = requests[answers.length]!.method === "HEAD" ? 0 : Number(headers["content-length"] ?? 0);
      if (buffer.length < head + 4 + length) return;
      buffer = "";
      answers.push({ status: Number(line!.split(" ")[1]), headers });
      if (answers.length === requests.length || headers["connection"] === "close") end();
      else send();
    });
    socket.on("close", end);
    send();
  });
}

/**
 * One after another: a request that Envoy's codec refuses takes the connection with it, and it shall be certain that no
 * other one was on its way to the filters then.
 *
 * @returns up to and with the first that the connection didn't survive; `unsure`: not by Envoy's own word
 */
async function overHttp2(socket: Socket, requests: readonly RequestPlan[]): Promise<{ got: (Answer | undefined)[]; unsure: boolean }> {
  const session: ClientHttp2Session = connectHttp2("http://unused", { createConnection: () => socket });
  let [refused, broken] = [false, false];
  session.on("goaway", () => (refused = true)).on("error", () => (broken = true)).on("close", () => (broken = true));
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
  const got: (Answer | undefined)[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`not all answers within ${TIMEOUT_MS} ms`)), TIMEOUT_MS)));
    late.catch(() => {});
    for (const request of requests) {
      got.push(await Promise.race([one(request), late]));
      if (refused || broken || session.closed) break;
    }
    return { got, unsure: broken && !refused };
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

export interface TcpAnswer {
  /** A byte came back, through the filter and the echo behind it; else the connection was closed. */
  allowed: boolean;
  /** Our end, as Envoy prints it. */
  from: string;
}

/** Sends a byte on a new connection. */
export async function knock(plan: ConnectionPlan): Promise<TcpAnswer> {
  for (let attempt = 1; ; attempt++) {
    const socket = await open(plan);
    const from = `${isIPv6(plan.direct) ? `[${plan.direct}]` : plan.direct}:${socket.localPort}`;
    try {
      return { allowed: await echoed(socket), from };
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    } finally {
      socket.destroy();
    }
  }
}

function echoed(socket: Socket): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const done = (allowed: boolean): void => {
      clearTimeout(timer);
      resolve(allowed);
    };
    const timer = setTimeout(() => reject(new Error(`neither a byte nor the end within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    socket.once("data", () => done(true)).once("end", () => done(false)).once("close", () => done(false));
    // Long enough for the TLS inspector to see that it is none.
    socket.write("a client's first bytes\n");
  });
}
