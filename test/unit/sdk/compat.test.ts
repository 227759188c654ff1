/** Holds the compatibility entry to what `@solo-io/proxy-runtime` exports, by its sources. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { packageRoot, readWasm } from "../../../harness/build/index.ts";
import { compileInProject } from "../../envoy/fixtures/project.ts";

const theirs = join(packageRoot, "node_modules/@solo-io/proxy-runtime/assembly");
const ours = join(packageRoot, "filters/sdk/compat");

const parse = (file: string): ts.SourceFile => ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);

/** Every name that a module exports, followed through `export … from`, with the declaration behind it. */
function exportsOf(file: string): Map<string, ts.Node> {
  const found = new Map<string, ts.Node>();
  const resolve = (specifier: ts.Expression): string => {
    const path = join(dirname(file), (specifier as ts.StringLiteral).text);
    return existsSync(`${path}.ts`) ? `${path}.ts` : join(path, "index.ts");
  };
  for (const statement of parse(file).statements) {
    if (ts.isExportDeclaration(statement)) {
      const behind = exportsOf(resolve(statement.moduleSpecifier!));
      if (!statement.exportClause) for (const [name, node] of behind) found.set(name, node);
      else if (ts.isNamedExports(statement.exportClause)) {
        for (const { name, propertyName } of statement.exportClause.elements) found.set(name.text, behind.get((propertyName ?? name).text)!);
      }
    } else if (ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
      if (ts.isVariableStatement(statement)) for (const { name } of statement.declarationList.declarations) found.set(name.getText(), statement);
      else found.set((statement as ts.FunctionDeclaration).name!.text, statement);
    }
  }
  return found;
}

/** Parameter types of a function, without what may be written in several ways. */
const signature = (node: ts.FunctionLikeDeclaration): string =>
  `(${node.parameters.map(({ type }) => type!.getText().replace(/\s+/g, " ")).join(", ")}): ${node.type?.getText() ?? "void"}`;

describe("the compatibility entry", () => {
  const their = exportsOf(join(theirs, "index.ts"));
  const our = exportsOf(join(ours, "index.ts"));

  it("exports what the package exports from its root, in its release and at the head of its repository", () => {
    const added = [
      "BufferTypeValues", "makeHeaderPair", "set_property", "get_property", "get_shared_data", "set_shared_data", "set_tick_period_milliseconds",
      "register_shared_queue", "resolve_shared_queue", "enqueue_shared_queue", "dequeue_shared_queue", "get_buffer_bytes", "call_foreign_function",
    ];
    expect([...our.keys()].sort()).toEqual([...their.keys(), ...added].sort());
    expect([...our.values()].every(Boolean)).toBe(true);
  });

  it("exports the same callbacks, the defective ones by the names that a proxy calls", () => {
    const renamed: Record<string, string> = {
      proxy_abi_version_0_2_0: "proxy_abi_version_0_2_1",
      malloc: "proxy_on_memory_allocate",
      proxy_on_grpc_trailing_metadata: "proxy_on_grpc_receive_trailing_metadata",
    };
    const provided = exportsOf(join(ours, "proxy.ts"));
    const missing = [...exportsOf(join(theirs, "proxy.ts")).keys()].filter((name) => !provided.has(renamed[name] ?? name));
    expect(missing).toEqual(["free"]); // nothing to free: the memory is rewound after each callback
  });

  it("offers the rest of its runtime for deep imports", () => {
    const provided = exportsOf(join(ours, "runtime.ts"));
    const missing = [...exportsOf(join(theirs, "runtime.ts")).keys()].filter((name) => !provided.has(name));
    expect(missing).toEqual(["Reference", "ensureRootContext", "ensureContext", "getBaseContext", "getContext", "getRootContext", "deleteContext"]);
  });

  it("keeps the signatures of functions, and the members and values of enums", () => {
    const provided = exportsOf(join(ours, "runtime.ts"));
    // 0.1.8 mixed up reading and writing, and took where it should return: these follow 0.1.15.
    const corrected = ["get_shared_data", "set_shared_data", "register_shared_queue", "resolve_shared_queue"];
    for (const [name, node] of exportsOf(join(theirs, "runtime.ts"))) {
      const mine = provided.get(name);
      if (!mine || corrected.includes(name)) continue;
      if (ts.isFunctionDeclaration(node)) expect(`${name}${signature(mine as ts.FunctionDeclaration)}`).toBe(`${name}${signature(node)}`);
      if (ts.isEnumDeclaration(node)) expect(values(mine as ts.EnumDeclaration), name).toEqual(values(node));
    }
  });

  it("keeps the methods of the classes", () => {
    const provided = exportsOf(join(ours, "runtime.ts"));
    for (const [name, node] of exportsOf(join(theirs, "runtime.ts"))) {
      const mine = provided.get(name);
      if (!ts.isClassDeclaration(node) || !mine) continue;
      const inherited = methods(mine as ts.ClassDeclaration);
      for (const [method, declaration] of methods(node)) {
        // Its Context can create a context, by throwing; its RootContext can be done, by logging.
        if (`${name}.${method}` === "Context.createContext") continue;
        const own = inherited.get(method);
        expect(own, `${name}.${method}`).toBeDefined();
        if (["done", "httpCall"].includes(method)) continue; // a status where there was none; a callback with either type of context
        if (method !== "constructor") expect(`${name}.${method}${signature(own!)}`).toBe(`${name}.${method}${signature(declaration)}`);
      }
    }
  });

  it("is used in full by the test filter", () => {
    const folder = join(packageRoot, "test/envoy/fixtures/compat/assembly");
    const used = new Set<string>();
    for (const file of readdirSync(folder)) {
      for (const statement of parse(join(folder, file)).statements) {
        if (!ts.isImportDeclaration(statement) || !/sdk\/compat/.test(statement.moduleSpecifier.getText())) continue;
        for (const { name } of (statement.importClause!.namedBindings as ts.NamedImports).elements) used.add(name.text);
      }
    }
    const callable = [...exportsOf(join(ours, "runtime.ts")).keys()].filter((name) => !name.endsWith("Values") && !["abort_proc_exit", "serializeHeaders"].includes(name));
    expect([...our.keys(), ...callable].filter((name) => !used.has(name))).toEqual([]);
  });
});

/** Methods by name, those of the class itself first, then of its bases in the same program. */
function methods(node: ts.ClassDeclaration): Map<string, ts.FunctionLikeDeclaration> {
  const found = new Map<string, ts.FunctionLikeDeclaration>();
  for (const member of node.members) {
    if (ts.isConstructorDeclaration(member)) found.set("constructor", member);
    else if (ts.isMethodDeclaration(member)) found.set(member.name.getText(), member);
  }
  const base = node.heritageClauses?.[0]?.types[0]?.expression.getText();
  if (!base) return found;
  const declaration = findClass(base.replace(/^Sdk/, ""), base.startsWith("Sdk") ? join(ours, "../assembly/context.ts") : node.getSourceFile().fileName);
  for (const [name, method] of declaration ? methods(declaration) : []) if (!found.has(name)) found.set(name, method);
  return found;
}

function findClass(name: string, file: string): ts.ClassDeclaration | undefined {
  return parse(file).statements.find((statement): statement is ts.ClassDeclaration => ts.isClassDeclaration(statement) && statement.name?.text === name);
}

function values(node: ts.EnumDeclaration): Record<string, number> {
  const found: Record<string, number> = {};
  let next = 0;
  for (const { name, initializer } of node.members) {
    const text = initializer?.getText();
    next = text === undefined ? next : text in found ? found[text]! : Number(text);
    found[name.getText()] = next++;
  }
  return found;
}

describe("a project that installs the package", () => {
  const filter = (prefix: string): string => `
    export * from "${prefix}/proxy";
    import { RootContext, Context, registerRootContext, FilterHeadersStatusValues, stream_context } from "${prefix}";
    class Root extends RootContext { createContext(context_id: u32): Context { return new AddHeader(context_id, this); } }
    class AddHeader extends Context {
      constructor(context_id: u32, root_context: Root) { super(context_id, root_context); }
      onResponseHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
        stream_context.headers.response.add("hello", this.root_context.getConfiguration());
        return FilterHeadersStatusValues.Continue;
      }
    }
    registerRootContext((context_id: u32) => { return new Root(context_id); }, "add_header");`;

  it.each([
    ["selvedge/filters/sdk/compat", undefined],
    ["@solo-io/proxy-runtime", "node_modules/selvedge/filters/sdk/compat/path"],
    ["@solo-io/proxy-runtime/assembly", "node_modules/selvedge/filters/sdk/compat/path"],
  ])("compiles a filter that imports %s", async (prefix, path) => {
    const { wasm } = await compileInProject(filter(prefix), path);
    const { imports, exports } = readWasm(wasm);
    expect(imports.map(({ name }) => name).sort()).toEqual(["proxy_add_header_map_value", "proxy_get_buffer_bytes", "proxy_get_log_level", "proxy_get_property", "proxy_log"]);
    expect(exports.map(({ name }) => name).filter((name) => name.startsWith("proxy_on_"))).toEqual([
      "proxy_on_memory_allocate", "proxy_on_context_create", "proxy_on_configure", "proxy_on_response_headers", "proxy_on_done", "proxy_on_delete",
    ]);
  });
});
