import { Context, RootContext, registerRootContext } from "../../../../filters/sdk/assembly/context";
import { create, find, remove } from "../../../../filters/sdk/assembly/registry";

class Root extends RootContext {
  createContext(id: u32): Context {
    return new Context(id, this);
  }
}

registerRootContext((id: u32) => new Root(id), "root");

export function add(id: u32, parent: u32): void {
  create(id, parent);
}

export function drop(id: u32): void {
  remove(id);
}

/** The id that the context found under this one believes to have; 0 where there is none. */
export function idOf(id: u32): u32 {
  const found = find(id);
  return found === null ? 0 : found.context_id;
}

export function parentOf(id: u32): u32 {
  const found = find(id);
  return found instanceof Context ? (found as Context).root_context.context_id : 0;
}
