/** What a denied client gets: `"denial": {"status", "body"}`. */
import { GrpcStatusValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, address, copyOf, utf8 } from "../../sdk/assembly/bytes";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { sendLocalResponse } from "../../sdk/assembly/stream";
import { memberOf, refuse } from "./read/members";
import { RuleRecord } from "./match/records";
import { Unusual, putName, putRule, unusualName } from "./names";
import { endLine, put, startLine } from "../../sdk/assembly/line";

const DEFAULT_BODY = utf8("RBAC: access denied");
const DENIED = utf8("selvedge_authz_denied[");
const CLOSE = utf8("]");
const HASH = utf8("#");
const PREFIX = utf8("selvedge_");

export class Denial {
  private status: u32 = 403;
  private body: View = DEFAULT_BODY;

  configure(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("status, body"))) {
        case 0: this.readStatus(reader); break;
        case 1: {
          const body = reader.string();
          if (body != ABSENT) this.body = copyOf(body);
        }
      }
    }
  }

  private readStatus(reader: JsonReader): void {
    const status = reader.number();
    this.status = <u32>status;
    if (<f64>this.status != status || this.status < 400 || this.status > 599) refuse(reader, utf8("another number"), utf8("a status from 400 to 599"));
  }

  /** Answers the request. Envoy takes the gRPC status for gRPC requests only. */
  send(rule: RuleRecord | null, why: Unusual): void {
    startLine();
    if (why != Unusual.No) {
      put(PREFIX);
      put(unusualName(why));
    } else {
      put(DENIED);
      if (rule === null) put(unusualName(why));
      else {
        putName(rule);
        put(HASH);
        putRule(rule);
      }
      put(CLOSE);
    }
    sendLocalResponse(this.status, endLine(), this.body, null, GrpcStatusValues.PermissionDenied);
  }

  free(): void {
    if (this.body != DEFAULT_BODY) heap.free(address(this.body));
    this.body = DEFAULT_BODY;
  }
}
