/** The SDK: what a filter imports. Its exports to the proxy are in `proxy.ts`. */
export * from "./abi/enums";
export * from "./buffers";
export * from "./bytes";
export * from "./callouts";
export * from "./clock";
export * from "./context";
export * from "./foreign";
export * from "./headers";
export * from "./log";
export * from "./metrics";
export * from "./properties";
export * from "./shared";
export * from "./stream";
export { JsonKind, JsonReader } from "./json/reader";
export { RequestView, request } from "./http/request";
export { Peer } from "./http/peer";
export { IdentitySource, peer } from "./http/identity";
export { currentRoute, forgetRoute } from "./http/route";
