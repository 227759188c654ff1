import { createServer } from "node:net";
import { connect } from "node:tls";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClientHello } from "../../../harness/serve/tls/client-hello.ts";
import { rfc2253, subjectAltNames } from "../../../harness/serve/tls/peer.ts";
import { chainFor } from "../../../harness/serve/tls/server.ts";

/** What Node's own client says first. */
async function clientHello(servername: string | undefined): Promise<Buffer> {
  let socket: ReturnType<typeof connect> | undefined;
  const server = createServer();
  try {
    return await new Promise<Buffer>((resolve) => {
      server.on("connection", (accepted) => accepted.once("data", resolve));
      server.listen(0, "127.0.0.1", () => {
        socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, ...(servername !== undefined && { servername }) });
        socket.on("error", () => {});
      });
    });
  } finally {
    socket?.destroy();
    server.close();
  }
}

/** The same handshake in records of that many bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

describe("the server name in a ClientHello", () => {
  it("is read, whatever the records and pieces that it comes in", async () => {
    const hello = await clientHello("A.Example.com");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: hello.length }), fc.nat(), (size, cut) => {
        const bytes = inRecords(hello, size);
        expect(readClientHello(bytes)).toEqual({ serverName: "a.example.com" });
        expect(readClientHello(bytes.subarray(0, cut % bytes.length))).toBe("incomplete");
      }),
    );
  });

  it("may be missing", async () => {
    expect(readClientHello(await clientHello(undefined))).toEqual({ serverName: undefined });
  });

  it("never comes from what is no ClientHello, and nothing throws", async () => {
    const hello = await clientHello("a.example");
    expect(readClientHello(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toBe("invalid");
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readClientHello(bytes)));
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(hello);
        changed[at] = value;
        readClientHello(changed);
      }),
    );
    expect(readClientHello(inRecords(Buffer.concat([Buffer.alloc(5), Buffer.from([1, 0, 255, 255]), Buffer.alloc(20_000)]), 1000))).toBe("invalid");
  });
});

describe("filter chains", () => {
  const chains = [{ names: ["a.example"], chain: "a" }, { names: ["*.example"], chain: "example" }, { names: ["*.b.example"], chain: "b" }];
  const open = [...chains, { names: undefined, chain: "any" }];
  it.each([["a.example", "a"], ["c.example", "example"], ["x.b.example", "b"], ["y.x.b.example", "b"], ["b.example", "example"], ["example", undefined], ["", undefined], [undefined, undefined]])("%s → %s", (name, chain) => {
    expect(chainFor(chains, name)).toBe(chain);
    expect(chainFor(open, name)).toBe(chain ?? "any");
  });
});

describe("names in certificates", () => {
  it("are read whole", () => {
    expect(subjectAltNames("URI:spiffe://a/b, DNS:x.example, IP Address:127.0.0.1, URI:spiffe://c")).toEqual({ uri: ["spiffe://a/b", "spiffe://c"], dns: ["x.example"] });
    expect(subjectAltNames(undefined)).toEqual({ uri: [], dns: [] });
  });

  it("can't be made up within another one", () => {
    expect(subjectAltNames('DNS:"evil, URI:spiffe://cluster.local/ns/prod/sa/web", URI:spiffe://x')).toEqual({ uri: ["spiffe://x"], dns: ["evil, URI:spiffe://cluster.local/ns/prod/sa/web"] });
    expect(() => subjectAltNames('DNS:a"b')).toThrow();
  });

  it("a subject is turned round", () => {
    expect(rfc2253("C=CH\nO=Example\\, Inc.\nCN=x")).toBe("CN=x,O=Example\\, Inc.,C=CH");
  });
});
