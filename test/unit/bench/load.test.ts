import { once } from "node:events";
import { createServer } from "node:http2";
import { connect, type AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { FRAME, frame, FrameReader, PREFACE, requestFrame, setStream, statusOf, type Frame } from "../../bench/h2.ts";
import { requestHeaders } from "../../bench/requests.ts";

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

describe("the load generator's HTTP/2", () => {
  it("is understood by a real server, and understands it", async () => {
    const seen: Record<string, unknown>[] = [];
    const server = createServer((request, response) => {
      seen.push({ ...request.headers });
      response.writeHead(seen.length === 3 ? 404 : 200).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    closing.push(() => (socket.destroy(), server.close()));

    const headers = [requestHeaders("alice"), requestHeaders("bob", `/long?${"x".repeat(327)}`), requestHeaders("carol", `/${"y".repeat(5000)}`)];
    const batch = Buffer.concat(headers.map((each, index) => {
      const request = requestFrame(each);
      setStream(request, 0, index * 2 + 1);
      return request;
    }));
    const reader = new FrameReader();
    const statuses: (number | null)[] = [];
    socket.on("data", (chunk: Buffer) => reader.push(chunk, ({ type, payload }) => type === FRAME.headers && statuses.push(statusOf(payload))));
    socket.write(Buffer.concat([PREFACE, batch]));
    await expect.poll(() => statuses).toEqual([200, 200, 404]);
    for (const [index, each] of headers.entries()) expect(seen[index]).toMatchObject(Object.fromEntries(each));
  });

  it("cuts the same frames wherever the bytes were split", () => {
    const frames = fc.array(fc.record({ type: fc.nat(9), flags: fc.nat(255), stream: fc.nat(2 ** 31 - 1), payload: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 8 });
    fc.assert(fc.property(frames, fc.array(fc.nat(2000), { maxLength: 6 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(({ type, flags, stream, payload }) => frame(type, flags, stream, Buffer.from(payload))));
      const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      const received: Frame[] = [];
      const reader = new FrameReader();
      ends.forEach((end, index) => reader.push(bytes.subarray(ends[index - 1] ?? 0, end), (each) => received.push({ ...each, payload: Buffer.from(each.payload) })));
      expect(received).toEqual(sent.map((each) => ({ ...each, payload: Buffer.from(each.payload) })));
    }));
  });
});
