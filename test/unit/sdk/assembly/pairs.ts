import { View, address, size } from "../../../../filters/sdk/assembly/bytes";
import { HeaderPairs, PairsWriter } from "../../../../filters/sdk/assembly/headers";
import { RequestView } from "../../../../filters/sdk/assembly/http/request";
import { atTheEnd, copy, over } from "./support";

const pairs = new HeaderPairs();

export function count(serialised: ArrayBuffer): u32 {
  const bytes = atTheEnd(serialised);
  pairs.over(address(bytes), size(bytes));
  return pairs.count;
}

/** Serialises what it read of the pairs once more; a view that leaves the buffer traps. */
export function copyPairs(serialised: ArrayBuffer): ArrayBuffer {
  const bytes = atTheEnd(serialised);
  pairs.over(address(bytes), size(bytes));
  const writer = new PairsWriter();
  const start = address(bytes);
  const end = start + size(bytes);
  while (pairs.next()) {
    assert(pairs.nameAt >= start && pairs.valueAt + pairs.valueSize <= end);
    writer.add(pairs.name, pairs.value);
  }
  return writer.finish();
}

/** All values of one header, each followed by a newline. */
export function valuesOf(serialised: ArrayBuffer, name: ArrayBuffer): string {
  pairs.over(changetype<usize>(serialised), serialised.byteLength);
  let text = "";
  let value: View = pairs.first(over(name));
  for (; value != u64.MAX_VALUE; value = pairs.nextOf(over(name))) text += String.UTF8.decode(copy(value)) + "\n";
  return text;
}

const request = new RequestView();

/** Method, path, authority and path without query, in brackets where they are there. */
export function pseudo(serialised: ArrayBuffer): string {
  request.over(changetype<usize>(serialised), serialised.byteLength);
  return show(request.method) + show(request.path) + show(request.authority) + show(request.pathOnly);
}

function show(v: View): string {
  return v == u64.MAX_VALUE ? "-" : "[" + String.UTF8.decode(copy(v)) + "]";
}
