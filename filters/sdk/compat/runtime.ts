/** What `@solo-io/proxy-runtime/runtime` exports, except for its bookkeeping (`ensureContext`, `Reference`, …). */
export * from "../assembly/abi/enums";
export { log } from "../assembly/log";
export { BaseContext } from "../assembly/context";
export { abort_proc_exit } from "./abort";
export { Context, HttpCallback, RootContext, registerRootContext } from "./context";
export * from "./headers";
export * from "./metrics";
export * from "./host";
export * from "./shared";
