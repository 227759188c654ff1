/** Linked lists of records in an arena. */
import { View, sameBytes } from "../../../sdk/assembly/bytes";
import { scratch } from "./arena";

/** What can be in a {@link List}: a record that starts with the address of the next. */
// @ts-ignore: decorator
@unmanaged
export class Node {
  next: usize;
}

// @ts-ignore: decorator
@unmanaged
export class List {
  first: usize;
  last: usize;
  count: u32;
}

// @ts-ignore: decorator
@unmanaged
export class Text extends Node {
  value: View;
}

/** A record of zeros, while a configuration is read. */
// @ts-ignore: decorator
@inline
export function make<T>(): T {
  return changetype<T>(scratch.alloc(offsetof<T>()));
}

export function append(list: List, node: usize): void {
  if (list.last == 0) list.first = node;
  else changetype<Node>(list.last).next = node;
  list.last = node;
  list.count++;
}

// @ts-ignore: decorator
@inline
export function next(node: usize): usize {
  return changetype<Node>(node).next;
}

export function appendText(list: List, value: View): void {
  const text = make<Text>();
  text.value = value;
  append(list, changetype<usize>(text));
}

// @ts-ignore: decorator
@inline
export function textOf(node: usize): View {
  return changetype<Text>(node).value;
}

export function holdsText(list: List, value: View): bool {
  for (let node = list.first; node != 0; node = next(node)) {
    if (sameBytes(textOf(node), value)) return true;
  }
  return false;
}
