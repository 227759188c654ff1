/** Reads telemetry's configuration (config.schema.json). Pure. */
import { ABSENT, View, size, utf8 } from "../../sdk/assembly/bytes";
import { IdentitySource } from "../../sdk/assembly/http/identity";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { Names, Texts } from "../../sdk/assembly/names";

const MAX_ROUTES = 1 << 20;
const MAX_SERIES = 100_000;
export const UNKNOWN = utf8("unknown");

const ROUTES = utf8("routes");
const MAX_SERIES_FIELD = utf8("maxSeries");
const IDENTITY = utf8("identity");
const DESTINATION = utf8("destination");
const ARM = utf8("arm");
const LABEL = utf8("label");
const WORKLOAD = utf8("workload");
const NAMESPACE = utf8("namespace");

/** Label values of the requests that take one route. */
export class Destination {
  workload: View = UNKNOWN;
  namespace: View = UNKNOWN;
  route: View = UNKNOWN;
  arm: View = 0;
}

export class TelemetryConfig {
  /** Route names; the number of a name is the index of its destination. */
  readonly routes: Names = new Names();
  readonly destinations: Destination[] = [];
  readonly identity: IdentitySource = new IdentitySource();
  maxSeries: u32 = 1000;
  private readonly texts: Texts = new Texts();

  /** Reads one object, wherever the reader stands. False with the reader's error set. */
  read(reader: JsonReader): bool {
    if (!reader.beginObject()) return false;
    while (reader.nextKey()) {
      if (reader.field(ROUTES, 0)) this.readRoutes(reader);
      else if (reader.field(MAX_SERIES_FIELD, 1)) this.maxSeries = <u32>reader.integer(1, MAX_SERIES);
      else if (reader.field(IDENTITY, 2)) this.identity.configure(reader);
      else reader.unknownField(utf8("routes, maxSeries, identity"));
    }
    return reader.ok;
  }

  private readRoutes(reader: JsonReader): void {
    if (!reader.beginObject(utf8("an object with a member for each route name"))) return;
    while (reader.nextKey()) {
      const name = reader.key;
      if (this.routes.find(name) >= 0) reader.failWith(utf8("this route twice"), utf8("each route once"));
      else if (this.routes.count == MAX_ROUTES) reader.failWith(utf8("more than 1048576 routes"), utf8("fewer"));
      else this.readRoute(reader, this.routes.at(this.routes.add(name)));
    }
  }

  private readRoute(reader: JsonReader, name: View): void {
    const destination = new Destination();
    destination.route = name;
    this.destinations.push(destination);
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (reader.field(DESTINATION, 0)) readDestination(reader, destination, this.texts);
      else if (reader.field(ARM, 1)) destination.arm = text(reader, this.texts);
      else if (reader.field(LABEL, 2)) destination.route = text(reader, this.texts);
      else reader.unknownField(utf8("destination, arm, label"));
    }
  }
}

function readDestination(reader: JsonReader, destination: Destination, texts: Texts): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    if (reader.field(WORKLOAD, 0)) destination.workload = text(reader, texts);
    else if (reader.field(NAMESPACE, 1)) destination.namespace = text(reader, texts);
    else reader.unknownField(utf8("workload, namespace"));
  }
}

function text(reader: JsonReader, texts: Texts): View {
  const value = reader.string();
  return value == ABSENT || size(value) == 0 ? 0 : texts.keep(value);
}
