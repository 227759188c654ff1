/** Connections as filters see them, with the filter state that network filters set on them. */
import { Connection, type Clock, type Host } from "../host/index.ts";
import { FilterState } from "../host/stream-info.ts";
import type { ChainConfig, StateConfig } from "./schema/listener.ts";
import type { Identity } from "./tls/peer.ts";

/** What is known of a connection when its handshake is done. */
export interface PeerFacts {
  address: string;
  port: number;
  localAddress: string;
  localPort: number;
  identity?: Identity;
  tls?: { version: string; serverName: string; local?: Identity };
}

const FORMATS = ["%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_PEER_URI_SAN%"] as const;

export class Connections {
  readonly #host: Host<Clock>;
  readonly #onConnection: StateConfig[];
  readonly #onHandshake: StateConfig[];

  constructor({ filters }: ChainConfig, host: Host<Clock>) {
    const states = filters.flatMap((filter) => (filter.name === "envoy.filters.network.set_filter_state" ? [filter.typed_config as States] : []));
    this.#host = host;
    this.#onConnection = states.flatMap((each) => each.on_new_connection ?? []);
    this.#onHandshake = states.flatMap((each) => each.on_downstream_tls_handshake ?? []);
  }

  /** Formats that nothing is known of. */
  get unknown(): string[] {
    const formats = [...this.#onConnection, ...this.#onHandshake].map(({ format_string }) => format_string.text_format_source.inline_string);
    return formats.filter((format) => !(FORMATS as readonly string[]).includes(format));
  }

  make({ identity, tls, address, port, localAddress, localPort }: PeerFacts): Connection {
    const connection = new Connection(
      {
        source: { address, port, ...identity },
        destination: { address: localAddress, port: localPort },
        tls: tls ? { version: tls.version, serverName: tls.serverName, ...(tls.local && { localSubject: tls.local.subject, localUriSans: tls.local.uriSans, localDnsSans: tls.local.dnsSans }) } : false,
      },
      this.#host.nextConnectionId++,
    );
    const values = { [FORMATS[0]]: address, [FORMATS[1]]: identity?.uriSans.join(",") || "-" };
    for (const { object_key, format_string } of [...this.#onConnection, ...(tls ? this.#onHandshake : [])]) {
      connection.filterState.set(object_key, FilterState.objectOf(values[format_string.text_format_source.inline_string as (typeof FORMATS)[number]]));
    }
    return connection;
  }
}

type States = { on_new_connection?: StateConfig[]; on_downstream_tls_handshake?: StateConfig[] };
