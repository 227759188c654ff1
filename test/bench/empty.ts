import wabt from "wabt";
import { callbacks as signatures } from "../../harness/build/abi.ts";

/** Callbacks whose result 1 means "fine"; everywhere else 0 means "continue". */
const ANSWER_YES = new Set(["proxy_on_vm_start", "proxy_validate_configuration", "proxy_on_configure", "proxy_on_done"]);

/** WebAssembly text of a module that exports these callbacks and does nothing in them: the floor of any filter that has them. */
export function emptyModuleText(callbacks: readonly string[]): string {
  const functions = callbacks.map((name) => {
    const [parameters = "", result = ""] = (signatures[name] ?? "").split("->").map((types) => types.trim());
    const params = parameters === "" ? "" : ` (param ${parameters})`;
    return `  (func (export "${name}")${params}${result === "" ? ")" : ` (result ${result}) (i32.const ${ANSWER_YES.has(name) ? 1 : 0}))`}`;
  });
  return [
    "(module",
    '  (memory (export "memory") 1)',
    '  (func (export "proxy_abi_version_0_2_1"))',
    // It reads nothing, so one place serves whatever the host may still want to put down.
    '  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))',
    ...functions,
    ")",
  ].join("\n");
}

export async function emptyModule(callbacks: readonly string[]): Promise<Uint8Array> {
  const { parseWat } = await wabt();
  const module = parseWat("empty.wat", emptyModuleText(callbacks));
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}
