/** Reads the canary's configuration (config.schema.json). Pure. */
import { ABSENT, View, address, sameBytes, size, utf8, view } from "../../sdk/assembly/bytes";
import { IdentitySource } from "../../sdk/assembly/http/identity";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { Names, Texts } from "../../sdk/assembly/names";
import { KeySource, Rollout } from "./rollout";

const MAX_ARMS = 64;
const MAX_KEYS = 8;
const MAX_WEIGHT = 1_000_000;

// What the configuration calls its fields.
const ROLLOUTS = utf8("rollouts");
const IDENTITY = utf8("identity");
const ROUTE = utf8("route");
const ID = utf8("id");
const ARMS = utf8("arms");
const STICKINESS = utf8("stickiness");
const NAME = utf8("name");
const WEIGHT = utf8("weight");
const SALT = utf8("salt");
const KEYS = utf8("keys");
const HEADER = utf8("header");
const COOKIE = utf8("cookie");
const PRINCIPAL = utf8("principal");
const SOURCE_IP = utf8("sourceIP");

export class CanaryConfig {
  /** Route names; the number of a name is the index of its rollout. */
  readonly routes: Names = new Names();
  readonly rollouts: Rollout[] = [];
  readonly identity: IdentitySource = new IdentitySource();
  private readonly texts: Texts = new Texts();

  /** Reads one object, wherever the reader stands. False with the reader's error set. */
  read(reader: JsonReader): bool {
    if (!reader.beginObject()) return false;
    let any = false;
    while (reader.nextKey()) {
      if (reader.field(ROLLOUTS, 0)) {
        any = true;
        if (!reader.beginArray()) return false;
        while (reader.nextElement()) this.readRollout(reader);
      } else if (reader.field(IDENTITY, 1)) this.identity.configure(reader);
      else reader.unknownField(utf8("rollouts, identity"));
    }
    if (!any) reader.failWith(utf8("no 'rollouts'"), utf8("an array of rollouts"));
    return reader.ok;
  }

  private readRollout(reader: JsonReader): void {
    const rollout = new Rollout();
    let salt = ABSENT;
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (reader.field(ROUTE, 0)) {
        rollout.route = this.name(reader, utf8("the name of an Envoy route"));
        if (reader.ok && this.routes.find(rollout.route) >= 0) reader.failWith(utf8("a second rollout of this route"), utf8("one rollout for each route"));
      } else if (reader.field(ID, 1)) rollout.id = this.name(reader, utf8("an id that isn't empty"));
      else if (reader.field(ARMS, 2)) this.readArms(reader, rollout);
      else if (reader.field(STICKINESS, 3)) salt = this.readStickiness(reader, rollout);
      else reader.unknownField(utf8("route, id, arms, stickiness"));
    }
    if (!reader.ok) return;
    if (rollout.route == 0) reader.failWith(utf8("no 'route'"), utf8("the name of the Envoy route to split"));
    else if (rollout.arms.length == 0) reader.failWith(utf8("no 'arms'"), utf8("at least one arm, the stable one first"));
    if (!reader.ok) return;
    if (rollout.id == 0) rollout.id = rollout.route;
    rollout.prefix = this.terminated(salt != ABSENT ? salt : rollout.id);
    this.routes.add(rollout.route);
    this.rollouts.push(rollout);
  }

  private readArms(reader: JsonReader, rollout: Rollout): void {
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      if (rollout.arms.length == MAX_ARMS) reader.failWith(utf8("more than 64 arms"), utf8("at most 64"));
      let name: View = 0;
      let weight: u32 = 1; // as in an HTTPRoute
      if (!reader.beginObject()) return;
      while (reader.nextKey()) {
        if (reader.field(NAME, 0)) {
          name = this.name(reader, utf8("an arm's name"));
          for (let i = 0; reader.ok && i < rollout.arms.length; i++) {
            if (sameBytes(name, rollout.arms[i])) reader.failWith(utf8("a second arm of this name"), utf8("names that differ"));
          }
        } else if (reader.field(WEIGHT, 1)) weight = <u32>reader.integer(0, MAX_WEIGHT);
        else reader.unknownField(utf8("name, weight"));
      }
      if (reader.ok && name == 0) reader.failWith(utf8("no 'name'"), utf8("the name of the arm"));
      if (reader.ok) rollout.addArm(name, weight);
    }
  }

  private readStickiness(reader: JsonReader, rollout: Rollout): View {
    let salt = ABSENT;
    if (!reader.beginObject()) return ABSENT;
    while (reader.nextKey()) {
      if (reader.field(SALT, 0)) salt = this.name(reader, utf8("a salt that isn't empty"));
      else if (reader.field(KEYS, 1)) {
        if (!reader.beginArray()) return ABSENT;
        while (reader.nextElement()) {
          if (rollout.sources.length == MAX_KEYS) reader.failWith(utf8("more than 8 keys"), utf8("at most 8"));
          this.readKey(reader, rollout);
        }
      } else reader.unknownField(utf8("salt, keys"));
    }
    if (reader.ok && rollout.sources.length == 0) reader.failWith(utf8("no 'keys'"), utf8("at least one key to stick to"));
    rollout.sticky = true;
    return salt;
  }

  private readKey(reader: JsonReader, rollout: Rollout): void {
    const before = rollout.sources.length;
    if (!reader.beginObject(utf8("one of {\"header\": …}, {\"cookie\": …}, {\"principal\": true}, {\"sourceIP\": true}"))) return;
    while (reader.nextKey()) {
      if (reader.field(HEADER, 0)) rollout.addSource(KeySource.Header, this.headerName(reader));
      else if (reader.field(COOKIE, 1)) rollout.addSource(KeySource.Cookie, this.cookieName(reader));
      else if (reader.field(PRINCIPAL, 2)) rollout.addSource(KeySource.Principal, onlyTrue(reader));
      else if (reader.field(SOURCE_IP, 3)) rollout.addSource(KeySource.SourceIP, onlyTrue(reader));
      else reader.unknownField(utf8("header, cookie, principal, sourceIP"));
    }
    const found = rollout.sources.length - before;
    if (reader.ok && found != 1) reader.failWith(found == 0 ? utf8("no source") : utf8("several sources in one key"), utf8("exactly one of header, cookie, principal, sourceIP"));
  }

  private name(reader: JsonReader, expected: View): View {
    const text = reader.string(expected);
    if (text == ABSENT) return 0;
    if (size(text) == 0) reader.failWith(utf8("an empty string"), expected);
    return this.texts.keep(text);
  }

  private headerName(reader: JsonReader): View {
    const expected = utf8("the name of a header");
    const name = this.token(reader, expected);
    // The proxy gives names in lower case, and so must we compare them.
    for (let i: u32 = 0; i < size(name); i++) {
      const c = load<u8>(address(name) + i);
      if (c >= 65 && c <= 90) store<u8>(address(name) + i, c | 32);
    }
    return name;
  }

  private cookieName(reader: JsonReader): View {
    return this.token(reader, utf8("the name of a cookie"));
  }

  /** A token (RFC 9110, section 5.6.2). */
  private token(reader: JsonReader, expected: View): View {
    const name = this.name(reader, expected);
    for (let i: u32 = 0; reader.ok && i < size(name); i++) {
      if (!isTokenByte(load<u8>(address(name) + i))) reader.failWith(utf8("a character that a name can't have"), expected);
    }
    return name;
  }

  private terminated(salt: View): View {
    const n = size(salt);
    const to = this.texts.room(n + 1);
    memory.copy(to, address(salt), n);
    store<u8>(to + n, 0);
    return view(to, n + 1);
  }
}

// The 128 ASCII characters as bits: letters, digits and !#$%&'*+-.^_`|~
const TOKEN_LOW: u64 = 0x03ff6cfa00000000;
const TOKEN_HIGH: u64 = 0x57ffffffc7fffffe;

function isTokenByte(c: u8): bool {
  return c < 128 && (((c < 64 ? TOKEN_LOW : TOKEN_HIGH) >> <u64>(c & 63)) & 1) != 0;
}

/** `true`; `false` would read like "not this one" and mean nothing. */
function onlyTrue(reader: JsonReader): View {
  if (reader.ok && !reader.boolean(utf8("true")) && reader.ok) reader.failWith(utf8("false"), utf8("true, or no such key"));
  return 0;
}
