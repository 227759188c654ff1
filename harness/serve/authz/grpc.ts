/** An authorizer that speaks gRPC: envoy.service.auth.v3.Authorization/Check. */
import { byteStringToBytes, bytesToByteString } from "../../host/bytes.ts";
import { HeaderMap } from "../../host/index.ts";
import { parseProto, protoBytes, protoNumber, protoText, ProtoWriter, type ProtoField } from "../../host/proto.ts";
import type { Endpoint, PeerInit, TlsInit } from "../../host/stream-info.ts";
import { milliseconds } from "../schema/common.ts";
import type { ExtAuthzConfig } from "../schema/ext-authz.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { sendMessage, type Message } from "../upstream/message.ts";
import { ALLOWED, headersByName, type CheckInput, type HeaderChange, type Verdict } from "./check.ts";

const MOST_BYTES = 4 * 1024 * 1024;
const FORBIDDEN = 403;

export function checkGrpc(cluster: Cluster, config: ExtAuthzConfig, input: CheckInput, done: (verdict: Verdict) => void): () => void {
  const { envoy_grpc, timeout } = config.grpc_service!;
  const message = checkRequest(config, input);
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const headers = HeaderMap.fromPairs(
    [[":authority", envoy_grpc.authority], [":path", "/envoy.service.auth.v3.Authorization/Check"], [":method", "POST"], [":scheme", "http"], ["te", "trailers"], ["content-type", "application/grpc"], ["grpc-timeout", `${milliseconds(timeout)}m`]],
    "request",
  );
  return sendMessage(cluster, headers, { timeoutMs: milliseconds(timeout), mostBytes: MOST_BYTES, body }, (answer) => done(verdictOf(answer)));
}

function checkRequest(config: ExtAuthzConfig, input: CheckInput): Uint8Array {
  const { info, headers, body } = input;
  const { source, destination, tls } = info.connection;
  const http = new ProtoWriter().bytes(1, String(info.connection.id)).bytes(2, raw(headers.get(":method")));
  for (const [name, value] of headersByName(input)) http.bytes(3, new ProtoWriter().bytes(1, raw(name)).bytes(2, sound(value)).finish());
  http.bytes(4, sound(headers.get(":path"))).bytes(5, sound(headers.get(":authority"))).bytes(6, raw(headers.get(":scheme")));
  http.varint(9, info.bytesReceived).bytes(10, info.protocol);
  if (body) http.bytes(config.with_request_body?.pack_as_bytes ? 12 : 11, config.with_request_body?.pack_as_bytes ? body : sound(bytesToByteString(body)));
  const seconds = info.startNs / 1_000_000_000n;
  const time = new ProtoWriter().varint(1, seconds).varint(2, info.startNs % 1_000_000_000n).finish();
  const attributes = new ProtoWriter()
    .bytes(1, peer(source, source, tls !== undefined))
    .bytes(2, peer(destination, localPeer(tls), tls !== undefined))
    .bytes(4, new ProtoWriter().bytes(1, time).bytes(2, http.finish()).finish());
  return new ProtoWriter().bytes(1, attributes.finish()).finish();
}

function localPeer(tls: TlsInit | undefined): PeerInit {
  return { uriSans: tls?.localUriSans ?? [], dnsSans: tls?.localDnsSans ?? [], subject: tls?.localSubject ?? "" };
}

/** The principal is the first URI in the certificate, else the first DNS name, else the subject. */
function peer({ address = "", port = 0 }: Endpoint, { uriSans, dnsSans, subject }: PeerInit, tls: boolean): Uint8Array {
  const socket = new ProtoWriter().bytes(2, address).varint(3, port).finish();
  const principal = tls ? (uriSans?.[0] ?? dnsSans?.[0] ?? subject ?? "") : "";
  return new ProtoWriter().bytes(1, new ProtoWriter().bytes(1, socket).finish()).bytes(4, principal).finish();
}

const raw = (text: string | undefined): Uint8Array => byteStringToBytes(text ?? "");

/** Protobuf's strings are UTF-8: what isn't becomes an exclamation mark, byte by byte, as in Envoy. */
function sound(text: string | undefined): Uint8Array {
  const bytes = raw(text);
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return bytes;
  } catch {
    return bytes.map((byte) => (byte < 0x80 ? byte : 0x21));
  }
}

function verdictOf(answer: Message | undefined): Verdict {
  const grpcStatus = answer?.trailers?.get("grpc-status") ?? answer?.headers.get("grpc-status");
  if (answer === undefined || answer.headers.get(":status") !== "200" || grpcStatus !== "0") return { kind: "error" };
  const { body } = answer;
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) return { kind: "error" };
  const response = parseProto(body.subarray(5));
  const status = response && parseProto(protoBytes(response, 1));
  if (!response || !status) return { kind: "error" };
  if (protoNumber(status, 1) === 0) return allowed(response);
  const isError = response.some(({ number }) => number === 5);
  const given = parseProto(protoBytes(response, isError ? 5 : 2)) ?? [];
  const code = protoNumber(parseProto(protoBytes(given, 1)) ?? [], 1);
  const headers = headerChanges(given, 2)?.flatMap(({ name, value }) => [name, value]) ?? [];
  if (isError) return { kind: "error", ...(code > 0 && { status: code }), body: protoBytes(given, 3), headers };
  return { kind: "denied", status: code > 0 ? code : FORBIDDEN, body: protoBytes(given, 3), headers };
}

function allowed(response: readonly ProtoField[]): Verdict {
  const ok = parseProto(protoBytes(response, 3));
  const request = ok && headerChanges(ok, 2);
  const toClient = ok && headerChanges(ok, 6);
  if (!ok || !request || !toClient) return { kind: "error" };
  const texts = (number: number): string[] => ok.filter((field) => field.number === number).map(({ bytes }) => bytesToByteString(bytes));
  return {
    ...ALLOWED,
    // Of a request's headers Envoy looks at `append` alone.
    request: request.map((each) => (each.action === "append-if-there" ? each : { ...each, action: "set" })),
    remove: texts(5).map((name) => name.toLowerCase()),
    response: toClient,
    setParameters: ok.filter(({ number }) => number === 7).map(({ bytes }) => [protoText(parseProto(bytes) ?? [], 1), protoText(parseProto(bytes) ?? [], 2)]),
    removeParameters: texts(8),
  };
}

const ACTIONS: readonly HeaderChange["action"][] = ["add", "add-if-absent", "set", "set-if-there"];

/** Undefined: something that isn't understood. */
function headerChanges(fields: readonly ProtoField[], number: number): HeaderChange[] | undefined {
  const changes = fields.filter((field) => field.number === number).map(({ bytes }): HeaderChange | undefined => {
    const option = parseProto(bytes);
    const header = option && parseProto(protoBytes(option, 1));
    if (!option || !header) return undefined;
    const append = option.find((field) => field.number === 2);
    const appends = append && protoNumber(parseProto(append.bytes) ?? [], 1) === 1;
    const action = append ? (appends ? "append-if-there" : "set") : ACTIONS[protoNumber(option, 3)];
    const value = protoBytes(header, 3).length > 0 ? protoBytes(header, 3) : protoBytes(header, 2);
    return action && { name: protoText(header, 1).toLowerCase(), value: bytesToByteString(value), action };
  });
  return changes.every((change): change is HeaderChange => change !== undefined) ? changes : undefined;
}
