import { requestFrame } from "./h2.ts";

/** The caller of every benchmark: what its certificate says, and what the policies name. */
export const TRUST_DOMAIN = "cluster.local";
export const CALLER = { namespace: "prod", serviceAccount: "productpage" } as const;
export const CALLER_ID = `spiffe://${TRUST_DOMAIN}/ns/${CALLER.namespace}/sa/${CALLER.serviceAccount}`;

export const PATH = "/api/v1/reviews/42?page=2";
export const FORBIDDEN_PATH = "/admin/shutdown";

const TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVkZ2UtMSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJ1c2VyLTQyIiwiYXVkIjoicmV2aWV3cyJ9.c2lnbmF0dXJl";

/** The headers of a request as a service in a mesh sends it, pseudo-headers first: 13 in all, some 600 bytes. */
export function requestHeaders(user: string, path = PATH): [name: string, value: string][] {
  return [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "reviews.prod.svc.cluster.local"],
    [":path", path],
    ["user-agent", "productpage/1.20 (linux; arm64)"],
    ["accept", "application/json"],
    ["accept-encoding", "gzip, deflate, br"],
    ["x-request-id", "7c3f0f2e-91a4-4d2c-8f0e-2b8f5c1d9a10"],
    ["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ["authorization", `Bearer ${TOKEN}`],
    ["cookie", `session=${user}.5f2c; theme=dark`],
    ["x-user", user],
    ["cache-control", "no-cache"],
  ];
}

/** Requests of this many different users, so that a sticky canary sees more than one key. */
export const requestsOf = (users: number): Buffer[] => Array.from({ length: users }, (_, user) => requestFrame(requestHeaders(`user-${user}`)));
