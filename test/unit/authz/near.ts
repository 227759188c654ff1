/**
 * Requests that nearly match: most attributes are taken from the policies' own values, as they are or with one thing changed.
 * By a small generator of its own, since this runs a million times.
 */
import type { Json } from "../../../harness/host/proto.ts";
import type { Request } from "./core.ts";
import type { Configuration } from "./oracle.ts";

/** mulberry32: the same numbers for the same seed, everywhere. */
export class Random {
  constructor(private state: number) {}

  /** 0 ≤ x < 1 */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

type Values = Record<string, string[]>;

/** What the policies compare, by attribute; headers under `header:<name>`. */
export function valuesOf({ policies }: Configuration): Values {
  const all: Values = {};
  const add = (name: string, values: string[] = []): void => {
    (all[name] ??= []).push(...values);
  };
  const fields = (object: object): void => {
    for (const [name, values] of Object.entries(object) as [string, string[]][]) add(name.startsWith("not") ? name[3]!.toLowerCase() + name.slice(4) : name, values);
  };
  for (const { spec } of policies) {
    for (const { from = [], to = [], when = [] } of spec.rules ?? []) {
      for (const { source } of from) fields(source);
      for (const { operation } of to) fields(operation);
      for (const { key, values, notValues } of when) {
        const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1]?.toLowerCase();
        const name = header === undefined ? (WHEN[key] ?? key) : `header:${header}`;
        add(name, values);
        add(name, notValues);
      }
    }
  }
  return all;
}

const WHEN: Record<string, string> = {
  "source.principal": "principals", "source.namespace": "namespaces", "source.serviceAccount": "serviceAccounts", "source.trustDomain": "trustDomains",
  "source.ip": "ipBlocks", "remote.ip": "remoteIpBlocks", "destination.port": "ports", "request.auth.principal": "requestPrincipals",
  "request.auth.audiences": "request.auth.claims[aud]", "request.auth.presenter": "request.auth.claims[azp]",
};

const METHODS = ["GET", "POST", "get", "DELETE", "GE", "GETT"];
const PATHS = ["/", "/a", "/a/b", "/a/b/c", "/api/v1/users", "/api/v2/users/7/x", "/admin/x", "/a/b.css", "/a//b", "/A", "/a*b", "/a/[b", "/a/%62", "/a;x/b", "/a/b/", "/admin%3bx/y", "/a%23x", "/a%3fx", "/%61dmin/x", "/a%2a", "/a/%5bb", "/a/%2562", "/a/.b/..;x/c", "/a%zz"];
const HOSTS = ["web.prod", "web.prod:8080", "WEB.Prod", "api.dev", "x.api.dev", "x"];
const HEADERS = ["x-a", "x-b", "x-very-long-header-name-that-is-longer-than-sixty-three-characters-in-all"];
const VALUES = ["1", "2", "12", "admin", "Admin", "", "1,2"];
const ISSUERS = ["https://idp", "https://idp/a", "idp"];
const SUBJECTS = ["alice", "bob", "a/alice", ""];
const CLAIMS = ["admin", "user", "12345678", "0", "", "\n", "a\nb", "\u0000", "é", "read write", " read  write"];
/** Claims, whether policies ask for them or not. */
const CLAIM_NAMES = ["role", "aud", "azp", "groups", "scope", "permission"];
const FILLERS = ["", "", "x", "a/b", "prod", "/"];

/** A text that a value matches, or nearly. */
function near(random: Random, value: string): string {
  let text = value.replace(/\{\*\*?\}|\*/g, () => random.pick(FILLERS));
  if (random.once(6)) text = text.slice(0, -1);
  if (random.once(6)) text = text.slice(1);
  if (random.once(6)) text += random.pick(["x", "/", "*", "0", ":80", "é"]);
  if (random.once(10)) text = random.once(2) ? text.toUpperCase() : text.toLowerCase();
  return text;
}

export interface Vocabulary {
  ids: readonly string[];
  snis: readonly string[];
  /** Of the physical peer. */
  direct: readonly string[];
  addresses: readonly string[];
  ports: readonly number[];
}

/** Requests for one configuration. */
export class Nearby {
  private readonly values: Values;

  constructor(configuration: Configuration, private readonly random: Random, private readonly words: Vocabulary) {
    this.values = valuesOf(configuration);
  }

  private text(name: string, words: readonly string[], share = 2): string {
    const values = this.values[name];
    return values?.length && !this.random.once(share) ? near(this.random, this.random.pick(values)) : this.random.pick(words);
  }

  /** What belongs to a connection. */
  connection(): Pick<Request, "peer" | "sni" | "direct" | "remote" | "destination" | "port"> {
    const { random, words } = this;
    const port = random.pick(words.ports);
    const bracketed = (address: string, at: number): string => (address.includes(":") ? `[${address}]:${at}` : `${address}:${at}`);
    const destination = this.address("destination.ip", words.addresses);
    return {
      ...(!random.once(6) && { peer: `spiffe://${this.identity()}` }),
      ...(!random.once(5) && { sni: random.pick(words.snis) }),
      direct: random.pick(words.direct),
      remote: bracketed(this.address("remoteIpBlocks", words.addresses), 40_000),
      destination: bracketed(destination, port),
      port,
    };
  }

  private identity(): string {
    const { random, words } = this;
    const principals = this.values["principals"];
    if (principals?.length && random.once(2)) return near(random, random.pick(principals)).replaceAll("é", "e");
    if (random.once(3)) {
      const [ns, sa] = this.text("serviceAccounts", ["prod/web"]).split("/");
      const td = this.text("trustDomains", ["cluster.local"]);
      return sa === undefined ? `${td}/ns/${this.text("namespaces", ["prod", "dev"])}/sa/${ns}` : `${td}/ns/${ns}/sa/${sa}`;
    }
    return random.pick(words.ids);
  }

  /** An address of a range, its neighbour, or any. */
  private address(name: string, words: readonly string[]): string {
    const values = this.values[name];
    return values?.length && this.random.once(2) ? this.random.pick(values).replace(/\/\d+$/, "") : this.random.pick(words);
  }

  /** Payload of a token: claims that policies ask for, in every shape, and others. */
  token(): Record<string, Json> {
    const { random } = this;
    const [iss, sub] = this.principal();
    const payload: Record<string, Json> = { ...(!random.once(12) && { iss }), ...(!random.once(8) && { sub }) };
    for (const name of CLAIM_NAMES) if (random.once(4)) payload[name] = this.shaped(CLAIMS);
    for (const [key, values] of Object.entries(this.values)) {
      const path = /^request\.auth\.claims\[(.+)\]$/.exec(key)?.[1]?.split("][");
      if (path === undefined || random.once(4)) continue;
      let at = payload;
      for (const name of path.slice(0, -1)) {
        const inner = at[name];
        const next: Record<string, Json> = inner !== null && typeof inner === "object" && !Array.isArray(inner) ? { ...(inner as Record<string, Json>) } : {};
        at[name] = next;
        at = next;
      }
      at[path.at(-1)!] = this.shaped(values);
    }
    return payload;
  }

  /** Other filters' metadata that policies ask for. */
  metadata(): Record<string, Record<string, Json>> {
    const all: Record<string, Record<string, Json>> = {};
    for (const [key, values] of Object.entries(this.values)) {
      const [, filter, name] = /^experimental\.(envoy\.filters\.[^[]+)\[(.+)\]$/.exec(key) ?? [];
      if (filter === undefined || this.random.once(4)) continue;
      (all[filter] ??= {})[name!] = this.shaped(values.map((value) => value.replace(/^\[+|\]+$/g, "")));
    }
    return all;
  }

  private principal(): [string, string] {
    const { random } = this;
    const values = this.values["requestPrincipals"];
    if (!values?.length || random.once(3)) return [random.pick(ISSUERS), random.pick(SUBJECTS)];
    const value = random.pick(values);
    const slash = value.lastIndexOf("/");
    if (slash < 0) return value.startsWith("*") ? [random.pick(ISSUERS), this.nearly(value)] : [this.nearly(value), random.pick(SUBJECTS)];
    return [this.nearly(value.slice(0, slash)), this.nearly(value.slice(slash + 1))];
  }

  private nearly(value: string): string {
    return this.random.once(2) ? value.replaceAll("*", "") : near(this.random, value);
  }

  /** A value that matches, or nearly; as a string, in a list, or where it doesn't count. */
  private shaped(values: readonly string[]): Json {
    const { random } = this;
    const text = (): string => {
      const value = random.pick(random.once(3) || values.length === 0 ? CLAIMS : values);
      return random.once(3) ? value : near(random, value);
    };
    const other = (): Json => random.pick<Json>([1, -1.5, true, false, null, {}, [], { admin: "" }, ["admin"], 6.013470016999068e-154]);
    switch (random.below(10)) {
      case 0: return other();
      case 1: return { [random.once(2) ? "0" : text()]: text() };
      case 2: return [[text()]];
      case 3: case 4: case 5: return Array.from({ length: random.below(4) }, () => (random.once(4) ? other() : text()));
      default: return text();
    }
  }

  /** What belongs to a request. */
  request(): Pick<Request, "method" | "path" | "host" | "headers" | "route"> {
    const { random } = this;
    const headers: [string, string][] = [];
    for (const name of HEADERS) {
      for (let count = random.pick([0, 0, 1, 1, 1, 2, 3]); count > 0; count--) headers.push([name, this.text(`header:${name}`, VALUES, 3)]);
    }
    const text = this.text(random.once(8) ? "header::path" : "paths", PATHS, 3);
    const path = text.startsWith("/") || random.once(20) ? text : `/${text}`;
    return {
      method: this.text(random.once(8) ? "header::method" : "methods", METHODS, 3),
      path: path + random.pick(["", "", "", "", "?q=/a", "?"]),
      host: this.text(random.once(3) ? "header:host" : "hosts", HOSTS, 3),
      headers,
      route: random.pick(["r0", "s1", "r2", "r9", ""]),
    };
  }
}
