/** Reads the slots of claims and metadata: each is a CEL expression that Envoy compiles once and evaluates for a request. */
import { View } from "../../sdk/assembly/bytes";
import { Expression } from "../../sdk/assembly/foreign";
import { ClaimRecord, ClaimSlots, ClaimSource } from "./match/claim-slots";

export class Claims extends ClaimSource {
  private readonly expressions: Expression[] = [];

  /** Compiles what the policies ask for. False: this Envoy doesn't take it. */
  create(slots: ClaimSlots): bool {
    slots.source = this;
    let valid = true;
    for (let at = slots.last; at != 0; at = changetype<ClaimRecord>(at).next) {
      const record = changetype<ClaimRecord>(at);
      record.index = this.expressions.length;
      const expression = new Expression(record.source);
      this.expressions.push(expression);
      valid = valid && expression.valid;
    }
    return valid;
  }

  read(slot: ClaimRecord): View {
    return this.expressions[slot.index].evaluate();
  }

  free(): void {
    for (let i = 0; i < this.expressions.length; i++) this.expressions[i].delete();
  }
}
