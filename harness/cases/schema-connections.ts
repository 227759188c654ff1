/** Connections, where a filter is used as a network filter: what both ends do, and what comes of it. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Duration, optional, SENDER } from "./schema-parts.ts";

const HEX = { pattern: "^([0-9a-fA-F]{2})*$", expected: "pairs of hexadecimal digits" };
const BASE64 = { pattern: "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", expected: "base64" };
/** A mapping that says just one of these things. */
const ONE = { minProperties: 1, maxProperties: 1 };

export const Bytes = Type.Union([Type.String(), closed({ hex: optional(Type.String(HEX)), base64: optional(Type.String(BASE64)) }, { ...ONE, expected: "either hex or base64" })], {
  expected: "a text, { hex: 0a02… } or { base64: CgI=… }",
});

const yes = (description: string) => optional(Type.Literal(true, { expected: "true", description }));

const Act = closed(
  {
    hex: optional(Type.String(HEX)),
    base64: optional(Type.String(BASE64)),
    wait: optional(Duration),
    await: optional(Bytes),
    "await-end": yes("Waits until the other side has ended"),
    end: yes("Ends its side, and goes on reading"),
    reset: yes("Breaks the connection off"),
  },
  { ...ONE, expected: "one of hex, base64, wait, await, await-end, end, reset" },
);

/** What one end of a connection does, one after another. */
export const Script = Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), Act], { expected: "a text, or { hex: 0a02 }, { wait: 50ms }, { await: OK }, { end: true }, …" }))], {
  expected: "a text, or a list of what this end does: a text, { hex: … } or { base64: … } is sent, { wait: 50ms } is a pause, { await: OK } waits for what comes, { end: true } ends",
});

export const Connection = closed({ ...SENDER, send: optional(Script) }, { description: "What the client does on a connection, where the filter is a network filter" });

export const ClosedBy = Type.Union([Type.Literal("client"), Type.Literal("upstream"), Type.Literal("filter")], { expected: "client, upstream or filter", description: "Which of them ended the connection first" });

export type ConnectionSpec = Static<typeof Connection>;
export type ScriptSpec = Static<typeof Script>;
export type BytesSpec = Static<typeof Bytes>;
