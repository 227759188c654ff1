/** Expected headers held against those that came. Pure. */
import { list, type HeaderPairs } from "./messages.ts";

export type ExpectedHeaders = Readonly<Record<string, string | string[] | null>>;

export interface HeaderMismatch {
  name: string;
  expected: string | string[];
  got: string | string[];
}

/** Every value of a name counts, in order; null expects none. Names are compared without regard to case. */
export function headerMismatches(expected: ExpectedHeaders, headers: HeaderPairs): HeaderMismatch[] {
  return Object.entries(expected).flatMap(([name, value]) => {
    const got = headers.filter(([each]) => each === name.toLowerCase()).map(([, each]) => each);
    const wanted = value === null ? [] : list(value);
    if (wanted.length === got.length && wanted.every((each, index) => each === got[index])) return [];
    return [{ name, expected: value ?? "absent", got: got.length === 0 ? "absent" : got.length === 1 ? got[0]! : got }];
  });
}
