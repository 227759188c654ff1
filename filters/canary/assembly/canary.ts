/**
 * The canary filter without its contexts, so that a module which fuses several filters can call it too.
 *
 * It runs once per request, while the request's headers are handled: reads the route that Envoy chose, picks an arm if
 * that route has a rollout, and for any arm but the stable one leaves the arm's name in filter state `wasm.selvedge_arm`
 * and has Envoy choose the route again. The route configuration holds a route for each canary arm that matches this filter
 * state, so a client can't choose its arm, and whatever fails here leaves the request on the stable arm.
 */
import { LogLevelValues, MetricTypeValues, WasmResultValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, size, utf8 } from "../../sdk/assembly/bytes";
import { clearRouteCache } from "../../sdk/assembly/foreign";
import { IdentitySource, peer } from "../../sdk/assembly/http/identity";
import { request } from "../../sdk/assembly/http/request";
import { currentRoute, forgetRoute } from "../../sdk/assembly/http/route";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { LabelledName } from "../../sdk/assembly/labels";
import { logBytes } from "../../sdk/assembly/log";
import { NO_METRIC, defineMetric, incrementMetric } from "../../sdk/assembly/metrics";
import { getProperty, setProperty } from "../../sdk/assembly/properties";
import { CanaryConfig } from "./config";
import { cookieOf, singleHeader } from "./keys";
import { SplitMix64 } from "./random";
import { KeySource, Rollout, withoutPort } from "./rollout";

/** Filter state `wasm.selvedge_arm`. One segment: a path of several would put NULs into the key. */
const ARM_PROPERTY = utf8("selvedge_arm");
const SOURCE_ADDRESS = utf8("source\0address");
const REQUESTS = utf8("selvedge_canary_requests_total");
const UNKEYED = utf8("selvedge_canary_unkeyed_total");
const ROUTE = utf8("route");
const ARM = utf8("arm");

export class Canary {
  /** Where principals come from. A fused module puts its own shared source here after {@link configure}. */
  identity: IdentitySource = new IdentitySource();
  /** The rollout that the last {@link onRequest} found: its index in the configuration, or -1. */
  rollout: i32 = -1;
  private config: CanaryConfig = new CanaryConfig();
  private readonly random: SplitMix64;
  private readonly name: LabelledName = new LabelledName();
  private unkeyed: u32 = NO_METRIC;
  private complained: bool = false;

  /** @param seed of the split where nothing is sticky; should differ from VM to VM */
  constructor(seed: u64) {
    this.random = new SplitMix64(seed);
  }

  /** Reads the configuration object at which the reader stands. False leaves the previous one in force; `reader.error` says why. */
  configure(reader: JsonReader): bool {
    const config = new CanaryConfig();
    if (!config.read(reader)) return false;
    this.config = config;
    this.identity = config.identity;
    return true;
  }

  /**
   * Picks the request's arm and applies it. Call it while handling request headers, before anything that depends on the
   * final route; it may clear the route cache.
   *
   * @returns the arm's index (0: stable, the request keeps its route), or -1 where the route has no rollout
   */
  onRequest(): i32 {
    this.rollout = -1;
    if (this.config.rollouts.length == 0) return -1;
    const route = currentRoute();
    if (route == ABSENT) return -1;
    const index = this.config.routes.find(route);
    if (index < 0) return -1;
    this.rollout = index;
    const rollout = unchecked(this.config.rollouts[index]);
    let arm = this.choose(rollout);
    if (arm > 0 && !this.apply(rollout, arm)) arm = 0;
    this.count(rollout, arm);
    return arm;
  }

  private choose(rollout: Rollout): i32 {
    // Nothing to share out: no key needs to be read for that.
    if (rollout.split.canaries == 0) return 0;
    if (!rollout.sticky) return rollout.split.pick(this.random.next());
    const key = this.keyOf(rollout);
    if (key != ABSENT) return rollout.armOf(key);
    if (this.unkeyed == NO_METRIC) this.unkeyed = defineMetric(MetricTypeValues.Counter, UNKEYED);
    incrementMetric(this.unkeyed, 1);
    return 0;
  }

  /** The first key that the request has; empty ones don't count. */
  private keyOf(rollout: Rollout): View {
    const sources = rollout.sources;
    for (let i = 0; i < sources.length; i++) {
      const key = this.keyFrom(unchecked(sources[i]), unchecked(rollout.sourceNames[i]));
      if (key != ABSENT && size(key) > 0) return key;
    }
    return ABSENT;
  }

  private keyFrom(source: KeySource, name: View): View {
    if (source == KeySource.Header) return singleHeader(request, name);
    if (source == KeySource.Cookie) return cookieOf(request, name);
    if (source == KeySource.Principal) {
      this.identity.load(peer);
      return peer.id;
    }
    const endpoint = getProperty(SOURCE_ADDRESS);
    return endpoint == ABSENT ? ABSENT : withoutPort(endpoint);
  }

  /** Puts the request on this arm. False: it is on the stable one, as if nothing had been tried. */
  private apply(rollout: Rollout, arm: i32): bool {
    if (setProperty(ARM_PROPERTY, unchecked(rollout.arms[arm])) == WasmResultValues.Ok) {
      if (clearRouteCache()) {
        forgetRoute();
        return true;
      }
      // Otherwise a later filter that clears the cache would move the request after all.
      setProperty(ARM_PROPERTY, unchecked(rollout.arms[0]));
    }
    if (!this.complained) {
      this.complained = true;
      logBytes(LogLevelValues.error, utf8("selvedge: canary: the proxy refused to re-route a request; such requests stay on the stable arm"));
    }
    return false;
  }

  private count(rollout: Rollout, arm: i32): void {
    let id = unchecked(rollout.counters[arm]);
    if (id == NO_METRIC) {
      const name = this.name.begin(REQUESTS).label(ROUTE, rollout.route).label(ARM, unchecked(rollout.arms[arm]));
      id = defineMetric(MetricTypeValues.Counter, name.text);
      unchecked((rollout.counters[arm] = id));
    }
    incrementMetric(id, 1);
  }
}
