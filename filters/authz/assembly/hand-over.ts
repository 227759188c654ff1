/**
 * What CUSTOM policies do: a request that one of them matches is marked for its provider, an ext_authz filter that stands
 * behind this one and runs for what is marked. `"custom": {"filterState", "providers"}` says that such filters are there.
 */
import { WasmResultValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, address, copyOf, size, utf8 } from "../../sdk/assembly/bytes";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { setProperty } from "../../sdk/assembly/properties";
import { PolicyRecord, RuleRecord } from "./match/records";
import { scratch } from "./memory/arena";
import { List, next } from "./memory/list";
import { Policy } from "./model";
import { readResourceName } from "./read/lists";
import { memberOf, readName, refuse, wordIn } from "./read/members";

const SEPARATOR = utf8(", ");
/** The mark of a request that no provider need see; no provider is called that. Without any mark, all of them see it. */
const NOBODY = utf8("-");

export class HandOver {
  /** Key of the filter state, or {@link ABSENT}: there is no provider. */
  private key: View = ABSENT;
  /** Names of the providers, as words. */
  private providers: View = ABSENT;

  get possible(): bool {
    return this.key != ABSENT;
  }

  configure(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (memberOf(reader, utf8("filterState, providers")) == 0) this.key = kept(readName(reader));
      else this.readProviders(reader);
    }
    if (this.key == ABSENT || this.providers == ABSENT) refuse(reader, utf8("too little"), utf8("filterState and providers"));
  }

  private readProviders(reader: JsonReader): void {
    let names: View = ABSENT;
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      const name = readResourceName(reader);
      if (name == ABSENT) return;
      names = names == ABSENT ? name : scratch.join(scratch.join(names, SEPARATOR), name);
    }
    this.providers = kept(names);
  }

  /** Is every CUSTOM policy's provider there? False: refused, the reader says why. */
  takes(reader: JsonReader, policies: List): bool {
    for (let node = policies.first; node != 0; node = next(node)) {
      const policy = changetype<Policy>(node);
      if (policy.provider == ABSENT || (this.possible && wordIn(this.providers, policy.provider) >= 0)) continue;
      return reader.failAt(utf8("policies"), policy.position, utf8("CUSTOM by a provider that isn't there"), utf8("one of 'custom.providers', whose ext_authz filter stands behind this one"));
    }
    return true;
  }

  /** Marks the current request for the provider of the rule, or for none. False: it couldn't be, so that it must not pass. */
  tell(rule: RuleRecord | null): bool {
    const provider = rule === null ? NOBODY : changetype<PolicyRecord>(rule.policy).provider;
    return setProperty(this.key, provider) == WasmResultValues.Ok;
  }

  free(): void {
    if (this.key != ABSENT) heap.free(address(this.key));
    if (this.providers != ABSENT) heap.free(address(this.providers));
    this.key = ABSENT;
    this.providers = ABSENT;
  }
}

function kept(text: View): View {
  return text == ABSENT || size(text) == 0 ? ABSENT : copyOf(text);
}
