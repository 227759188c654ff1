import { connect, type ClientHttp2Session } from "node:http2";
import { fail } from "../../harness/errors.ts";
import type { BenchCertificates } from "./certificates.ts";
import { requestHeaders } from "./requests.ts";

export interface Probe {
  /** For messages. */
  name: string;
  port: number;
  certificates: BenchCertificates;
  path: string;
  /** Status. */
  expect: number;
  what?: string;
}

/** One request, to see that a variant works at all. @throws SelvedgeError `bench-answer` when another status comes back */
export async function probe({ name, port, certificates, path, expect, what }: Probe): Promise<void> {
  const session = connect(`https://127.0.0.1:${port}`, { servername: "localhost", ca: certificates.ca, cert: certificates.client.certificate, key: certificates.client.key });
  try {
    const status = await statusOf(session, path);
    if (status !== expect) fail("bench-answer", `${name} doesn't do what is to be measured`, { found: `status ${status}`, expected: `status ${expect} for ${what ?? path}` });
  } finally {
    session.destroy();
  }
}

function statusOf(session: ClientHttp2Session, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request(Object.fromEntries(requestHeaders("user-0", path)), { endStream: true });
    stream.setTimeout(10_000, () => reject(new Error("no answer in time")));
    stream.on("response", (headers) => resolve(Number(headers[":status"])));
    stream.on("error", reject);
    stream.resume();
  });
}
