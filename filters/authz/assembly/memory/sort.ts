/** Sorts linked lists: a bottom-up merge sort, stable, without further memory. */
import { List, Node } from "./list";

/** @param order negative where the first record comes first */
export function sortList(list: List, order: (a: usize, b: usize) => i32): void {
  let width: u32 = 1;
  while (width < list.count) {
    let rest = list.first;
    let last: usize = 0;
    while (rest != 0) {
      let left = rest;
      let right = skip(left, width);
      let leftCount = width;
      let rightCount = width;
      while ((leftCount > 0 && left != 0) || (rightCount > 0 && right != 0)) {
        let taken: usize;
        const fromLeft = leftCount > 0 && left != 0 && (rightCount == 0 || right == 0 || order(left, right) <= 0);
        if (fromLeft) {
          taken = left;
          left = changetype<Node>(left).next;
          leftCount--;
        } else {
          taken = right;
          right = changetype<Node>(right).next;
          rightCount--;
        }
        if (last == 0) list.first = taken;
        else changetype<Node>(last).next = taken;
        last = taken;
      }
      rest = right;
    }
    changetype<Node>(last).next = 0;
    list.last = last;
    width <<= 1;
  }
}

function skip(node: usize, count: u32): usize {
  while (count-- > 0 && node != 0) node = changetype<Node>(node).next;
  return node;
}
