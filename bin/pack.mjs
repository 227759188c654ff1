#!/usr/bin/env node
/**
 * `npm pack` and `npm publish` run this first: everything in the package that isn't in the repository is made. The command
 * line and the library are bundled, the filters built, and dist/types gets the library's declarations.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join, relative } from "node:path";
import { bootstrap, root, stop } from "./bootstrap.mjs";

const { main } = await bootstrap();
// Standard output belongs to npm: `npm pack --json`.
process.stdout.write = process.stderr.write.bind(process.stderr);
if ((await main(["build", "--out", join(root, "dist")])) !== 0) stop("the filters don't compile");
writeTypes();

function writeTypes() {
  const dist = join(root, "dist");
  mkdirSync(dist, { recursive: true });
  const made = mkdtempSync(join(dist, ".types-"));
  try {
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const { status } = spawnSync(process.execPath, [compiler, "-p", join(root, "tsconfig.types.json"), "--outDir", made], { stdio: ["ignore", 2, 2] });
    if (status !== 0) stop("the library's types can't be written, see above");
    const kept = `${made}.kept`;
    for (const [path, text] of reachable(join(made, "index.d.ts"))) {
      const target = join(kept, relative(made, path));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
    rmSync(join(dist, "types"), { recursive: true, force: true });
    renameSync(kept, join(dist, "types"));
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** What is public, by file: a declaration that the entry doesn't lead to only names packages that a user needn't have. */
function reachable(entry) {
  const files = new Map();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue;
    // Of a declaration only the name of the compiled file is understood by every compiler.
    const text = withoutUnusedImports(readFileSync(path, "utf8")).replace(/((?:from|import\() ?")(\.[^"]*)\.ts"/g, (_, before, name) => {
      const target = join(dirname(path), `${name}.d.ts`);
      if (existsSync(target)) waiting.push(target);
      return `${before}${name}.js"`;
    });
    files.set(path, text);
  }
  return files;
}

/** The compiler leaves the imports of what it has left out as internal. */
function withoutUnusedImports(text) {
  return text.replace(/^import (?:type )?\{([^}]*)\} from .*\n/gm, (line, names) => {
    const used = names.split(",").some((name) => text.replace(line, "").match(new RegExp(`\\b${name.trim().split(/ /).pop()}\\b`)));
    return used ? line : "";
  });
}
