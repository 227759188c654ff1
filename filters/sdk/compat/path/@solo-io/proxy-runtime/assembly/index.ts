export * from "selvedge/filters/sdk/compat/index";
