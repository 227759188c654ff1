/** Makes spaces of a table, and puts patterns into them. */
import { View, address, size } from "../../../sdk/assembly/bytes";
import { Field } from "../fields";
import { Ip } from "../match/ip";
import { putNetwork } from "../match/networks";
import { Kind, LengthNode, Space, keyOf } from "../match/records";
import { Arena } from "../memory/arena";
import { hashBytes, prefixHash, suffixHash } from "../memory/hash";
import { Slot, Table } from "../memory/table";

export class Spaces {
  private made: u32 = 0;

  constructor(readonly arena: Arena, readonly table: Table) {}

  create(field: Field, slot: u32): Space {
    const space = changetype<Space>(this.arena.alloc(offsetof<Space>()));
    space.id = ++this.made;
    space.field = field;
    space.slot = slot;
    return space;
  }

  /** The slot of a text, which is copied. */
  put(space: Space, kind: Kind, text: View): Slot {
    const n = size(text);
    let hash: u32 = 0;
    if (kind == Kind.Exact) {
      space.exact++;
      hash = hashBytes(address(text), n);
    } else if (kind == Kind.Prefix) {
      space.prefixes = this.withLength(space.prefixes, n);
      hash = prefixHash(address(text), n);
    } else {
      space.suffixes = this.withLength(space.suffixes, n);
      hash = suffixHash(address(text), n);
    }
    return this.slot(keyOf(space.id, kind), hash, text);
  }

  /** The slot of a range of addresses. */
  putNetwork(space: Space, ip: Ip): Slot {
    const root = changetype<usize>(space) + (ip.family == 4 ? offsetof<Space>("networks4") : offsetof<Space>("networks6"));
    return putNetwork(root, ip, this.arena);
  }

  private slot(key: u32, hash: u32, text: View): Slot {
    const known = this.table.find(key, hash, address(text), size(text));
    return known !== null ? known : this.table.put(key, hash, address(this.arena.copy(text)), size(text));
  }

  /** The ascending list with this length in it; its head. */
  private withLength(head: usize, length: u32): usize {
    let before: usize = 0;
    let node = head;
    while (node != 0 && changetype<LengthNode>(node).length < length) {
      before = node;
      node = changetype<LengthNode>(node).next;
    }
    if (node != 0 && changetype<LengthNode>(node).length == length) return head;
    const inserted = changetype<LengthNode>(this.arena.alloc(offsetof<LengthNode>()));
    inserted.length = length;
    inserted.next = node;
    if (before == 0) return changetype<usize>(inserted);
    changetype<LengthNode>(before).next = changetype<usize>(inserted);
    return head;
  }
}
