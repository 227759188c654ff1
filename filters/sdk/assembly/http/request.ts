/**
 * The request as the filters of one module share it: header pairs read once per callback, pseudo headers picked out in
 * the same pass. Views die with the callback.
 */
import { HeaderMapTypeValues } from "../abi/enums";
import { ABSENT, View, address, view } from "../bytes";
import { HeaderPairs } from "../headers";
import { currentCallback } from "../memory";

export class RequestView {
  readonly headers: HeaderPairs = new HeaderPairs();
  /** `:method`, `:path` (with query), `:authority` (with port); {@link ABSENT} where the request has none. */
  method: View = ABSENT;
  path: View = ABSENT;
  authority: View = ABSENT;
  private loadedIn: u32 = 0;

  /** Reads the request's headers unless this callback did so already. */
  // @ts-ignore: decorator
  @inline
  load(): void {
    if (this.loadedIn != currentCallback()) this.reload();
  }

  private reload(): void {
    this.loadedIn = currentCallback();
    this.headers.load(HeaderMapTypeValues.RequestHeaders);
    this.scan();
  }

  /** Takes pairs that are in memory already: for tests, without a host. */
  over(buffer: usize, bytes: u32): void {
    this.headers.over(buffer, bytes);
    this.scan();
  }

  /** `:path` without query and fragment. */
  get pathOnly(): View {
    const path = this.path;
    if (path == ABSENT) return ABSENT;
    const start = address(path);
    const end = start + <usize>(<u32>path);
    for (let at = start; at < end; at++) {
      const c = load<u8>(at);
      if (c == 63 || c == 35) return view(start, <u32>(at - start));
    }
    return path;
  }

  /** `:path` has a fragment, which a client was to keep to itself. */
  get hasFragment(): bool {
    const n = <u32>this.pathOnly;
    return this.path != ABSENT && n < <u32>this.path && load<u8>(address(this.path) + n) == 35;
  }

  private scan(): void {
    let found = 0;
    this.method = ABSENT;
    this.path = ABSENT;
    this.authority = ABSENT;
    const headers = this.headers;
    headers.rewind();
    // There are three of interest, told apart by their size and then compared in words. Envoy has them first, and each once.
    while (found != 7 && headers.next()) {
      const name = headers.nameAt;
      if (headers.nameSize == 0 || load<u8>(name) != 58) continue;
      const n = headers.nameSize;
      if (n == 5 && load<u32>(name, 1) == 0x68746170) { // "path"
        this.path = headers.value;
        found |= 1;
      } else if (n == 7 && load<u32>(name, 1) == 0x6874656d && load<u16>(name, 5) == 0x646f) { // "meth" "od"
        this.method = headers.value;
        found |= 2;
      } else if (n == 10 && load<u64>(name, 1) == 0x7469726f68747561 && load<u8>(name, 9) == 121) { // "authorit" "y"
        this.authority = headers.value;
        found |= 4;
      }
    }
  }
}

/** The one request view of this module: every filter fused into it reads the same. */
export const request = new RequestView();
