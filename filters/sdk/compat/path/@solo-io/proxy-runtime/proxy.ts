export * from "selvedge/filters/sdk/compat/proxy";
