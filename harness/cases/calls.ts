/** Expected calls held against those that a filter made. Pure. */
import { checkMessages, textOf, type Differ } from "./differ.ts";
import { showMessage } from "./grpc.ts";
import { headerMismatches } from "./headers.ts";
import type { CallSeen } from "./plan.ts";
import type { CallsSpec, ExpectedCallSpec } from "./schema-calls.ts";

/** `POST /check to auth`, `test.Echo/Say to users`. */
export function describeCall({ cluster, method, path, rpc }: CallSeen): string {
  return `${rpc ?? `${method} ${path}`} to ${cluster}`;
}

/** A list means these calls and no others, in this order; with `any-order`, in any. */
export function checkCalls(spec: CallsSpec, calls: readonly CallSeen[], differ: Differ): void {
  const inOrder = Array.isArray(spec);
  const expected = (inOrder ? spec : spec["any-order"]).flatMap((each, index) => Array.from({ length: each.count ?? 1 }, () => ({ each, path: inOrder ? [index] : ["any-order", index] })));
  const list = (all: readonly CallSeen[]): string => (all.length === 0 ? "none" : all.map((call) => describeCall(call)).join(", "));
  if (!inOrder) {
    const left = [...calls];
    for (const { each, path } of expected) {
      const found = left.findIndex((call) => mismatches(each, call).length === 0);
      if (found < 0) differ(path, describeExpected(each), `no such call; the others: ${list(left)}`);
      else left.splice(found, 1);
    }
    if (left.length > 0) differ(["any-order"], "no other call", list(left));
    return;
  }
  if (expected.length !== calls.length) {
    differ([], expected.length === 0 ? "no call" : expected.map(({ each }) => describeExpected(each)).join(", "), list(calls));
    return;
  }
  expected.forEach(({ each, path }, index) => {
    for (const { field, expected: wanted, got } of mismatches(each, calls[index]!)) differ([...path, ...field], wanted, got);
  });
}

interface CallMismatch {
  field: (string | number)[];
  expected: unknown;
  got: unknown;
}

function mismatches(expect: ExpectedCallSpec, call: CallSeen): CallMismatch[] {
  const found: CallMismatch[] = [];
  const differ: Differ = (field, expected, got) => found.push({ field, expected, got });
  for (const field of ["cluster", "method", "path", "rpc"] as const) if (expect[field] !== undefined && expect[field] !== call[field]) differ([field], expect[field], call[field] ?? describeCall(call));
  for (const field of ["headers", "trailers"] as const) {
    for (const { name, expected, got } of headerMismatches(expect[field] ?? {}, call[field])) differ([field, name], expected, got);
  }
  const body = textOf(call.body);
  if (expect.body !== undefined && expect.body !== body) differ(["body"], expect.body, showMessage(call.body));
  const contains = expect["body-contains"];
  if (contains !== undefined && !body.includes(contains)) differ(["body-contains"], contains, showMessage(call.body));
  checkMessages(expect.messages, call.body, ["messages"], differ);
  return found;
}

function describeExpected({ cluster, method, path, rpc }: ExpectedCallSpec): string {
  return `${rpc ?? ([method, path].filter((each) => each !== undefined).join(" ") || "a call")}${cluster === undefined ? "" : ` to ${cluster}`}`;
}
