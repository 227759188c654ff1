import { selvedgeAbort } from "../assembly/abi/abort";

/** For builds that still say `--use abort=abort_proc_exit`. */
// @ts-ignore: decorator
@global
export function abort_proc_exit(message: string | null, file: string | null, line: u32, column: u32): void {
  selvedgeAbort(message, file, line, column);
}
