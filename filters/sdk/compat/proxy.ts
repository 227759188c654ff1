/** What `@solo-io/proxy-runtime/proxy` exports: the callbacks of the module. The build drops those that nothing overrides. */
export * from "../assembly/proxy";
