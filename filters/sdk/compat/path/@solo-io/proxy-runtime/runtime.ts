export * from "selvedge/filters/sdk/compat/runtime";
