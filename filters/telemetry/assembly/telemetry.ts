/**
 * The telemetry filter without its contexts, so that a module which fuses several filters can call it too.
 *
 * {@link Telemetry.begin} with the request's headers, {@link Telemetry.finish} when the stream is over and its outcome known.
 * Everything about the response is read at the end: there the proxy still has both header maps, as they were sent, also of
 * requests that another filter answered, and the route is final. That saves a callback on each response.
 */
import { HeaderMapTypeValues, MetricTypeValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, size, utf8, view } from "../../sdk/assembly/bytes";
import { now } from "../../sdk/assembly/clock";
import { HeaderPairs } from "../../sdk/assembly/headers";
import { IdentitySource, peer } from "../../sdk/assembly/http/identity";
import { request } from "../../sdk/assembly/http/request";
import { currentRoute } from "../../sdk/assembly/http/route";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { LabelledName } from "../../sdk/assembly/labels";
import { allocateForCallback } from "../../sdk/assembly/memory";
import { NO_METRIC, defineMetric, incrementMetric, recordMetric } from "../../sdk/assembly/metrics";
import { getIntegerProperty, getProperty } from "../../sdk/assembly/properties";
import { Destination, TelemetryConfig } from "./config";
import { OtherDestinations, SeriesLabels, Sources } from "./labels";
import { durationOf, requestBytes, responseBytes } from "./measure";
import { OVERFLOW, StreamRecord, UNSET } from "./record";
import { OverflowSeries, SeriesTable, seriesKey, statusClass } from "./series";
import { METHODS, classText, contentLength, methodId, statusCode, statusText } from "./values";

const REQUESTS = utf8("selvedge_requests_total");
const DURATION = utf8("selvedge_request_duration_milliseconds");
const REQUEST_BYTES = utf8("selvedge_request_bytes");
const RESPONSE_BYTES = utf8("selvedge_response_bytes");
const SERIES_OVERFLOW = utf8("selvedge_telemetry_series_overflow_total");

const STATUS = utf8(":status");
const CONTENT_LENGTH = utf8("content-length");
const CLUSTER_NAME = utf8("xds\0cluster_name");
const RESPONSE_CODE = utf8("response\0code");

export class Telemetry {
  /** Where callers' identities come from. A fused module puts its own shared source here after {@link configure}. */
  identity: IdentitySource = new IdentitySource();
  private config: TelemetryConfig = new TelemetryConfig();
  private sources: Sources = new Sources(this.config.maxSeries);
  private others: OtherDestinations = new OtherDestinations(this.config.maxSeries);
  private series: SeriesTable = new SeriesTable(this.config.maxSeries);
  private readonly overflow: OverflowSeries = new OverflowSeries();
  private overflows: u32 = NO_METRIC;
  private readonly response: HeaderPairs = new HeaderPairs();
  private readonly labels: SeriesLabels = new SeriesLabels();
  private readonly name: LabelledName = new LabelledName();

  /** Reads the configuration object at which the reader stands. False leaves the previous one in force; `reader.error` says why. */
  configure(reader: JsonReader): bool {
    const config = new TelemetryConfig();
    if (!config.read(reader)) return false;
    this.config = config;
    this.identity = config.identity;
    this.sources = new Sources(config.maxSeries);
    this.others = new OtherDestinations(config.maxSeries);
    this.series = new SeriesTable(config.maxSeries);
    return true;
  }

  /** The request's headers are here: takes the time, and reads method, declared size and caller. */
  begin(record: StreamRecord, endOfStream: bool): void {
    record.startedAt = now();
    this.describeRequest(record);
    if (endOfStream) record.requestBytes = 0;
  }

  /**
   * Saves {@link finish} from reading the route, where the caller knows it already and nothing will change it any more.
   * A route that the configuration doesn't list is left for later.
   */
  routed(record: StreamRecord, route: View): void {
    if (route != ABSENT) record.destination = this.config.routes.find(route);
  }

  /** The stream is over (`onLog`): counts it. */
  finish(record: StreamRecord): void {
    // A filter ahead of this one may have answered: then this is the first callback of the stream.
    if (!record.begun) this.describeRequest(record);
    const response = this.response;
    const answered = response.load(HeaderMapTypeValues.ResponseHeaders) && response.count > 0;
    const status = answered ? statusCode(response.first(STATUS)) : this.statusWithoutHeaders();
    const declared = answered ? contentLength(response.first(CONTENT_LENGTH)) : -1;
    if (record.destination == UNSET) record.destination = this.destinationNow();

    const ids = this.seriesOf(record, status);
    incrementMetric(load<u32>(ids), 1);
    recordMetric(load<u32>(ids, 4), durationOf(record.startedAt));
    recordMetric(load<u32>(ids, 8), requestBytes(record.requestBytes));
    recordMetric(load<u32>(ids, 12), responseBytes(record.method, status, declared));
  }

  private describeRequest(record: StreamRecord): void {
    record.begun = true;
    request.load();
    record.method = methodId(request.method);
    record.requestBytes = contentLength(request.headers.first(CONTENT_LENGTH));
    this.identity.load(peer);
    record.source = this.sources.numberOf(peer);
  }

  /** No response headers: the client or the connection went away, or the proxy answered before there was a filter chain. */
  private statusWithoutHeaders(): u32 {
    const code = getIntegerProperty(RESPONSE_CODE, 0);
    return code >= 100 && code < 600 ? <u32>code : 0;
  }

  private destinationNow(): i32 {
    let route = currentRoute();
    if (route == ABSENT) route = view(0, 0);
    const listed = this.config.routes.find(route);
    if (listed >= 0) return listed;
    let cluster = getProperty(CLUSTER_NAME);
    if (cluster == ABSENT) cluster = view(0, 0);
    const other = this.others.find(route, cluster, allocateForCallback(size(route) + size(cluster) + 1));
    return other == OVERFLOW ? OVERFLOW : this.config.routes.count + other;
  }

  private destination(number: i32): Destination {
    const listed = this.config.routes.count;
    return number < listed ? this.config.destinations[number] : this.others.at(number - listed);
  }

  /** Address of the metric ids of this request's series. */
  private seriesOf(record: StreamRecord, status: u32): usize {
    const source = record.source;
    const destination = record.destination;
    if (source >= 0 && destination >= 0) {
      const key = seriesKey(source, destination, record.method, status);
      let ids = this.series.find(key);
      if (ids != 0) return ids;
      ids = this.series.add(key);
      if (ids != 0) {
        const labels = this.labels;
        const to = this.destination(destination);
        this.sources.describe(source, labels);
        labels.destinationWorkload = to.workload;
        labels.destinationNamespace = to.namespace;
        labels.method = unchecked(METHODS[record.method]);
        labels.status = statusText(status, allocateForCallback(3));
        labels.route = to.route;
        labels.arm = to.arm;
        return this.define(ids, labels);
      }
    }
    return this.overflowSeries(status);
  }

  private overflowSeries(status: u32): usize {
    if (this.overflows == NO_METRIC) this.overflows = defineMetric(MetricTypeValues.Counter, SERIES_OVERFLOW);
    incrementMetric(this.overflows, 1);
    const ids = this.overflow.at(statusClass(status));
    if (load<u32>(ids) != NO_METRIC) return ids;
    const labels = new SeriesLabels();
    labels.status = classText(status, allocateForCallback(3));
    return this.define(ids, labels);
  }

  private define(ids: usize, labels: SeriesLabels): usize {
    store<u32>(ids, defineMetric(MetricTypeValues.Counter, labels.name(REQUESTS, this.name)));
    store<u32>(ids, defineMetric(MetricTypeValues.Histogram, labels.name(DURATION, this.name)), 4);
    store<u32>(ids, defineMetric(MetricTypeValues.Histogram, labels.name(REQUEST_BYTES, this.name)), 8);
    store<u32>(ids, defineMetric(MetricTypeValues.Histogram, labels.name(RESPONSE_BYTES, this.name)), 12);
    return ids;
  }
}
