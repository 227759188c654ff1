/**
 * One log line for each denial, and for each match of an AUDIT rule, of either no more than some per second: an attacker must
 * not fill a disk, nor hide the one behind the other. Never a query string, a path's parameters, a header or a body.
 */
import { LogLevelValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, address, size, slice, utf8 } from "../../sdk/assembly/bytes";
import { now } from "../../sdk/assembly/clock";
import { logBytes, logEnabled } from "../../sdk/assembly/log";
import { Field } from "./fields";
import { Input } from "./match/input";
import { Reading, readAs } from "./match/path-readings";
import { RuleRecord } from "./match/records";
import { Unusual, putName, putRule, unusualName } from "./names";
import { endLine, put, putForeign, putNumber, startLine } from "../../sdk/assembly/line";

const LINES_PER_SECOND: u32 = 10;
const SECOND: u64 = 1_000_000_000;
const LEVEL = LogLevelValues.info;

const DENIED = utf8("selvedge: authz: denied: policy=");
const AUDITED = utf8("selvedge: authz: audited: policy=");
const RULE = utf8(" rule=");
const PRINCIPAL = utf8(" principal=\"");
const METHOD = utf8("\" method=\"");
const HOST = utf8("\" host=\"");
const PATH = utf8("\" path=\"");
const SNI = utf8("\" sni=\"");
const SOURCE = utf8("\" source=\"");
const QUOTE = utf8("\"");
const SUPPRESSED = utf8(" suppressed=");

/** How many lines of one kind were written in which second, and how many weren't. */
// @ts-ignore: decorator
@unmanaged
class Quota {
  second: u64;
  lines: u32;
  suppressed: u32;
}

const denials = memory.data(16, 8);
const audits = memory.data(16, 8);

/**
 * @param host as the client sent it; of a connection, the server name
 * @param source address of a connection's peer; {@link ABSENT} for a request
 */
export function logDecision(denied: bool, rule: RuleRecord | null, why: Unusual, input: Input, host: View, source: View): void {
  if (!logEnabled(LEVEL)) return;
  const quota = changetype<Quota>(denied ? denials : audits);
  const time = now() / SECOND;
  if (time != quota.second) {
    quota.second = time;
    quota.lines = 0;
  }
  if (quota.lines == LINES_PER_SECOND) {
    quota.suppressed++;
    return;
  }
  quota.lines++;
  startLine();
  put(denied ? DENIED : AUDITED);
  if (rule !== null) putName(rule);
  else put(unusualName(why));
  put(RULE);
  if (rule !== null) putRule(rule);
  else put(unusualName(Unusual.No));
  put(PRINCIPAL);
  foreign(input.uri);
  if (source != ABSENT) {
    put(SOURCE);
    foreign(source);
    put(SNI);
    foreign(host);
  } else {
    put(METHOD);
    foreign(input.text(Field.Method));
    put(HOST);
    foreign(withoutUser(host));
    put(PATH);
    // Session tokens travel in parameters (`;jsessionid=…`), and a query behind an encoded question mark.
    const path = input.text(Field.Path);
    if (path != ABSENT) foreign(readAs(path, Reading.Stripped | Reading.Structural));
  }
  put(QUOTE);
  if (quota.suppressed != 0) {
    put(SUPPRESSED);
    putNumber(quota.suppressed);
    quota.suppressed = 0;
  }
  logBytes(LEVEL, endLine());
}

/** What comes before an `@` in a host is a name and a password. */
function withoutUser(host: View): View {
  if (host == ABSENT) return host;
  let at = size(host);
  while (at > 0 && load<u8>(address(host) + at - 1) != 64) at--;
  return slice(host, at, size(host));
}

function foreign(text: View): void {
  if (text != ABSENT) putForeign(text, 256);
}
