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

/** Details of answers that came from the upstream, of streams that broke off, and of clients that went away. */
const NO_LOCAL_REPLY = /^(via_upstream$|downstream_(remote|local)_disconnect|http2\.(remote_|local_)?re(set|fuse)|codec_error$|upstream_reset_after_response_started)/;

/** A stream's details where a filter or the proxy answered, or would have if no answer had been on its way. */
export const replyDetails = (details: string | null | undefined): string | undefined => (details === null || details === undefined || NO_LOCAL_REPLY.test(details) ? undefined : details);
