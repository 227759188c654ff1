/** Reads the slots of claims and metadata: each is a CEL expression that Envoy compiles once and evaluates for a request. */
import { View } from "../../sdk/assembly/bytes";
import { compileExpression, deleteExpression, evaluateExpression } from "../../sdk/assembly/foreign";
import { ClaimRecord, ClaimSlots, ClaimSource } from "./match/claim-slots";

class Expressions extends ClaimSource {
  read(slot: ClaimRecord): View {
    return evaluateExpression(tokenOf(slot));
  }
}

const expressions = new Expressions();

/** Compiles what the policies ask for. False: this Envoy doesn't take it. */
export function compileClaims(slots: ClaimSlots): bool {
  slots.source = expressions;
  let valid = true;
  for (let at = slots.last; at != 0; at = changetype<ClaimRecord>(at).next) {
    const record = changetype<ClaimRecord>(at);
    valid = compileExpression(record.source, tokenOf(record)) && valid;
  }
  return valid;
}

/** Before the slots are freed. */
export function freeClaims(slots: ClaimSlots): void {
  if (slots.source === null) return;
  for (let at = slots.last; at != 0; at = changetype<ClaimRecord>(at).next) deleteExpression(tokenOf(changetype<ClaimRecord>(at)));
}

// @ts-ignore: decorator
@inline
function tokenOf(slot: ClaimRecord): usize {
  return changetype<usize>(slot) + offsetof<ClaimRecord>("token");
}
