/** One Envoy in which a request meets both: native RBAC, whose decisions are noted and don't count, and authz.wasm, whose do. */
import { extension, typed, type Config } from "../../harness/compose/emit/config.ts";
import type { Bootstrap } from "../../harness/envoy/index.ts";
import type { Configuration } from "../unit/authz/oracle.ts";
import { bootstrap, listener, plugin, type Files } from "./listener.ts";
import { NATIVE, PROVIDER, native, nativeFormat, workloadOf } from "./native.ts";
import { metadataFilter, metadataKeys } from "./metadata.ts";
import type { Tokens } from "./tokens.ts";

export const ROUTE_HEADER = "selvedge-route";
const ROUTES = ["r0", "s0", "r1", "s1", "r2", "s2", "r9", ""];
const MARK = "selvedge_custom";

export function world(configurations: readonly Configuration[], files: Files, version: string, tokens: Tokens): Bootstrap {
  return bootstrap(configurations.map((configuration, index) => listener(index, { chain: [connectionManager(configuration, index, files, tokens)], alpn: ["h2", "http/1.1"] }, files, version)));
}

function connectionManager(configuration: Configuration, index: number, files: Files, tokens: Tokens): Config {
  const node = native(configuration, workloadOf(configuration, undefined));
  const add = (key: string, text: string): Config => ({ header: { key, value: text }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" });
  return extension("envoy.filters.network.http_connection_manager", "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "differential",
    codec_type: "AUTO",
    // Both are to see what the client sent.
    normalize_path: false,
    merge_slashes: false,
    path_with_escaped_slashes_action: "KEEP_UNCHANGED",
    use_remote_address: true,
    delayed_close_timeout: "0s",
    xff_num_trusted_hops: 1,
    http_protocol_options: { allow_custom_methods: true },
    http2_protocol_options: { override_stream_error_on_invalid_http_message: true },
    local_reply_config: {
      mappers: [
        {
          filter: { status_code_filter: { comparison: { op: "GE", value: { default_value: 0, runtime_key: "none" } } } },
          headers_to_add: [
            add("native", nativeFormat("envoy.filters.http.rbac")), add("details", "%RESPONSE_CODE_DETAILS%"), add("mark", `%FILTER_STATE(wasm.${MARK}:PLAIN)%`),
            add("payload", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload)%"),
          ],
        },
      ],
    },
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: ROUTES.map((name) => ({
            name,
            match: { prefix: "/", ...(name !== "" && { headers: [{ name: ROUTE_HEADER, string_match: { exact: name } }] }) },
            direct_response: { status: 200 },
            typed_per_filter_config: Object.fromEntries(
              Object.entries(native(configuration, workloadOf(configuration, name))).map(([filter, rbac]) => [filter, typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", { rbac })]),
            ),
          })),
        },
      ],
    },
    http_filters: [
      tokens.filter(),
      ...metadataFilter(metadataKeys(configuration)),
      ...NATIVE.map((name) => extension(name, "envoy.extensions.filters.http.rbac.v3.RBAC", node[name])),
      extension("authz", "envoy.extensions.filters.http.wasm.v3.Wasm", { config: plugin(configuration, index, files, { custom: { filterState: MARK, providers: [PROVIDER] } }) }),
      extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
    ],
  });
}
