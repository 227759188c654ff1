/** What checks of an expectation share. Pure. */
import { messageList, showMessage, unframe } from "./grpc.ts";
import type { MessageSpec } from "./schema-parts.ts";

/** Reports what isn't as expected; the path is the field's. */
export type Differ = (path: (string | number)[], expected: unknown, got: unknown) => void;

/** Messages of a gRPC body. */
export function checkMessages(expected: MessageSpec | MessageSpec[] | undefined, body: Uint8Array, path: string[], differ: Differ): void {
  if (expected === undefined) return;
  const wanted = messageList(expected);
  const got = unframe(body);
  if (got === undefined) return differ(path, wanted.map(showMessage), `a body that isn't gRPC: ${showMessage(body)}`);
  if (wanted.length !== got.length || wanted.some((each, index) => !each.equals(got[index]!))) differ(path, wanted.map(showMessage), got.map(showMessage));
}

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
