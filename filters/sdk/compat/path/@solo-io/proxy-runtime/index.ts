/** For `asc --path`: makes unchanged imports of `@solo-io/proxy-runtime` reach the compatibility entry. */
export * from "selvedge/filters/sdk/compat/index";
