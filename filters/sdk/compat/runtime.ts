/** What `@solo-io/proxy-runtime/runtime` exports, except for its bookkeeping (`ensureContext`, `Reference`, …). */
export * from "../assembly/abi/enums";
export { log } from "../assembly/log";
export { BaseContext, registerRootContext } from "../assembly/context";
export { abort_proc_exit } from "./abort";
export { Context, HttpCallback, RootContext } from "./context";
export * from "./headers";
export * from "./metrics";
export * from "./host";
export * from "./shared";
