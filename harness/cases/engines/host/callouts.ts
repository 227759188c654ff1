/** Callouts of a filter on the host: recorded, and answered as the case says. */
import type { GrpcAnswer, GrpcCall, GrpcPeer, GrpcStreamHandler, HttpAnswer, HttpCall, Upstream } from "../../../host/index.ts";
import { frame, messageBytes, messageList } from "../../grpc.ts";
import { isBytes, milliseconds, pairs, planAnswer, type HeaderPairs } from "../../messages.ts";
import { clustersOf, type CallSeen, type CasePlan } from "../../plan.ts";
import type { CallAnswerSpec } from "../../schema-calls.ts";
import type { Stubs } from "../../stubs.ts";

/** What Envoy answers in place of a server that breaks off before its headers. */
const BROKEN = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";

export class HostCallouts {
  /** Calls since {@link take}. */
  #calls: CallSeen[] = [];
  stubs!: Stubs;

  clusters(plan: CasePlan): Record<string, Upstream> {
    return Object.fromEntries([...clustersOf(plan).keys()].map((name) => [name, { http: (call) => this.#http(call), grpc: (call) => this.#grpc(call), grpcStream: (call, peer) => this.#stream(call, peer) }]));
  }

  take(): CallSeen[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  #http(call: HttpCall): HttpAnswer {
    const pseudo = (name: string): string => call.headers.find(([each]) => each === name)?.[1] ?? "";
    const seen: CallSeen = { cluster: call.cluster, method: pseudo(":method"), path: pseudo(":path"), headers: regular(call.headers), body: call.body, trailers: call.trailers };
    const answer = this.#record(seen);
    if (answer === "connect") return "connectionFailure";
    const delayMs = answer?.delay === undefined ? 0 : milliseconds(answer.delay);
    if (answer?.fail === "timeout") return "timeout";
    if (answer?.fail === "reset") return { fail: "connectionTermination", delayMs };
    if (answer === undefined) return { status: 404 };
    const { status, headers, body, trailers } = planAnswer(answer);
    const pauses = body.reduce((sum, chunk) => sum + (typeof chunk === "object" && "waitMs" in chunk ? chunk.waitMs : 0), 0);
    if (body.includes("reset")) return { fail: "reset", delayMs: delayMs + pauses };
    return { status, headers, body: Buffer.concat(body.filter(isBytes)), ...(trailers.length > 0 && { trailers }), delayMs: delayMs + pauses };
  }

  #grpc(call: GrpcCall): GrpcAnswer | "timeout" | "connectionFailure" {
    const answer = this.#record(grpcSeen(call, frame(call.message ?? new Uint8Array(0))));
    if (answer === "connect") return "connectionFailure";
    if (answer?.fail === "timeout") return "timeout";
    const delayMs = answer?.delay === undefined ? 0 : milliseconds(answer.delay);
    if (answer?.fail === "reset") return { status: 14, statusMessage: BROKEN, delayMs };
    const { messages, status = 0, message = "" } = answer?.grpc ?? { status: 12 };
    const [first] = messageList(messages);
    return { ...(first && { message: first }), status, statusMessage: message, delayMs };
  }

  /** Answers once the filter has sent everything. */
  #stream(call: GrpcCall, peer: GrpcPeer): GrpcStreamHandler {
    const seen = grpcSeen(call, new Uint8Array(0));
    const answer = this.#record(seen);
    const { messages, status = 0, message, metadata, trailers } = (answer !== "connect" && answer?.grpc) || { status: answer === undefined ? 12 : 14 };
    return {
      onMessage: (sent, end) => {
        seen.body = Buffer.concat([seen.body, frame(messageBytes({ hex: Buffer.from(sent).toString("hex") }))]);
        if (!end || (answer !== "connect" && answer?.fail === "timeout")) return;
        if (metadata) peer.sendInitialMetadata(pairs(metadata));
        for (const each of messageList(messages)) peer.send(each);
        peer.sendTrailingMetadata([...pairs(trailers), ["grpc-status", String(status)]]);
        peer.close(status, message);
      },
    };
  }

  #record(call: CallSeen): CallAnswerSpec | "connect" | undefined {
    // A call to which nobody listens reaches nobody.
    if (this.stubs.refuses(call.cluster)) return "connect";
    this.#calls.push(call);
    return this.stubs.answer(call);
  }
}

const regular = (headers: HeaderPairs): HeaderPairs => headers.filter(([name]) => !name.startsWith(":"));

function grpcSeen({ cluster, service, method, initialMetadata }: GrpcCall, body: Uint8Array): CallSeen {
  return { cluster, method: "POST", path: `/${service}/${method}`, headers: regular(initialMetadata), body, trailers: [], rpc: `${service}/${method}` };
}
