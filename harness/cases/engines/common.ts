/** Names that both engines give to the same things. */
import type { Protocol } from "../messages.ts";

/** Filter state with the address of the physical peer. */
export const DIRECT_KEY = "selvedge.direct_address";
/** Filter state by which a canary filter chooses an arm. */
export const ARM_STATE = "wasm.selvedge_arm";
/** Where requests go, by what the upstream speaks. */
export const CLUSTERS: Record<Protocol, string> = { http1: "upstream", http2: "upstream-http2" };
/** Where connections go. */
export const TCP_CLUSTER = "upstream-tcp";
/** Subject of every client certificate. */
export const SUBJECT = "CN=client";
