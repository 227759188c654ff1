import wabt from "wabt";

const ready = wabt();

/** Assembles WebAssembly text. Names are left out unless asked for. */
export async function compileWat(text: string, options: { names?: boolean } = {}): Promise<Uint8Array> {
  const module = (await ready).parseWat("test.wat", text, { bulk_memory: true, simd: true });
  try {
    return module.toBinary({ write_debug_names: options.names ?? false }).buffer;
  } finally {
    module.destroy();
  }
}
