/**
 * One log line for each denial, no more than some per second: an attacker must not fill a disk. Never a query string, a
 * header or a body.
 */
import { LogLevelValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, utf8 } from "../../sdk/assembly/bytes";
import { now } from "../../sdk/assembly/clock";
import { logBytes, logEnabled } from "../../sdk/assembly/log";
import { Field } from "./fields";
import { Input } from "./match/input";
import { RuleRecord } from "./match/records";
import { Unusual, putName, putRule, unusualName } from "./names";
import { endLine, put, putForeign, putNumber, startLine } from "../../sdk/assembly/line";

const LINES_PER_SECOND: u32 = 10;
const SECOND: u64 = 1_000_000_000;
const LEVEL = LogLevelValues.info;

const DENIED = utf8("selvedge: authz: denied: policy=");
const RULE = utf8(" rule=");
const PRINCIPAL = utf8(" principal=\"");
const METHOD = utf8("\" method=\"");
const HOST = utf8("\" host=\"");
const PATH = utf8("\" path=\"");
const QUOTE = utf8("\"");
const SUPPRESSED = utf8(" suppressed=");

let second: u64 = 0;
let lines: u32 = 0;
let suppressed: u32 = 0;

/** @param host as the client sent it */
export function logDenial(rule: RuleRecord | null, why: Unusual, input: Input, host: View): void {
  if (!logEnabled(LEVEL)) return;
  const time = now() / SECOND;
  if (time != second) {
    second = time;
    lines = 0;
  }
  if (lines == LINES_PER_SECOND) {
    suppressed++;
    return;
  }
  lines++;
  startLine();
  put(DENIED);
  if (rule !== null) putName(rule);
  else put(unusualName(why));
  put(RULE);
  if (rule !== null) putRule(rule);
  else put(unusualName(Unusual.No));
  put(PRINCIPAL);
  foreign(input.uri);
  put(METHOD);
  foreign(input.text(Field.Method));
  put(HOST);
  foreign(host);
  put(PATH);
  foreign(input.text(Field.Path));
  put(QUOTE);
  if (suppressed != 0) {
    put(SUPPRESSED);
    putNumber(suppressed);
    suppressed = 0;
  }
  logBytes(LEVEL, endLine());
}

function foreign(text: View): void {
  if (text != ABSENT) putForeign(text, 256);
}
