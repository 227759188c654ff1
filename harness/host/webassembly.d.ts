/**
 * The part of the WebAssembly JavaScript API that the host uses. TypeScript has it only in its DOM library, which
 * would bring the browser's globals along. https://webassembly.github.io/spec/js-api/
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Table {
    constructor(descriptor: { initial: number; maximum?: number; element: "anyfunc" | "externref" });
    set(index: number, value: unknown): void;
  }
  class RuntimeError extends Error {}
  class CompileError extends Error {}
  type Exports = Record<string, unknown>;
  type Imports = Record<string, Record<string, unknown>>;
  function compile(bytes: Uint8Array): Promise<Module>;
  function validate(bytes: Uint8Array): boolean;
}
