/**
 * What the scripts in this folder share: they run before anything is installed, so this is plain Node without a
 * dependency. In a checkout it installs the packages and bundles the command line when either is missing or outdated; in
 * a published package there is only the bundle, and nothing to do.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bundle = join(root, "dist", "selvedge.mjs");
/** What `import … from "selvedge"` gives. */
const library = join(root, "dist", "index.mjs");
const chunkFolder = "cli";

/** Not bundled: native code, WebAssembly, or programs of their own. */
const EXTERNAL = ["assemblyscript", "assemblyscript/*", "binaryen", "testcontainers", "esbuild", "wabt", "vitest", "vitest/*"];
/** A chunk of an earlier bundle may still be in use by a command that runs. */
const STALE_CHUNK_MS = 3_600_000;

/** Makes the command line ready and returns what the bundle exports; ends the process with a message where it can't. */
export async function bootstrap() {
  requireNode();
  if (existsSync(join(root, "harness", "cli"))) {
    installPackages();
    await bundleCommandLine();
  } else if (!existsSync(bundle)) {
    stop(`${bundle} is missing: install the package again`);
  }
  return import(pathToFileURL(bundle).href);
}

function requireNode() {
  const [wanted] = /\d+\.\d+(\.\d+)?/.exec(readJson(join(root, "package.json")).engines.node);
  const numbers = (version) => version.split(".").map(Number);
  const [have, need] = [numbers(process.versions.node), numbers(wanted)];
  const difference = need.map((part, index) => have[index] - part).find((part) => part !== 0) ?? 0;
  if (difference < 0) stop(`Node ${wanted} or newer is needed, this is ${process.versions.node}: https://nodejs.org/en/download`);
}

/** Runs `npm ci` unless what is installed is what package-lock.json says. */
function installPackages() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex");
  const stamp = join(root, "node_modules", ".selvedge-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  if (!isInstalled(JSON.parse(lock))) {
    process.stderr.write("selvedge: installing packages (npm ci)\n");
    // Standard output belongs to the command that comes after.
    const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
    if (npm.error) stop(`npm can't be run (${npm.error.code}): install it, it comes with Node`);
    if (npm.status !== 0) stop("npm ci failed, see above", npm.status ?? 1);
  }
  writeFileSync(stamp, hash);
}

/** Compares the lock file with the one that npm keeps of what it installed. */
function isInstalled(lock) {
  const file = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(file)) return false;
  const installed = readJson(file).packages;
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === "" || wanted.optional || wanted.link) return true;
    return installed[path]?.version === wanted.version && installed[path]?.integrity === wanted.integrity;
  });
}

const SOURCES = ["harness", "test/bench", "package.json", "package-lock.json", "bin/bootstrap.mjs"];

/** Bundles harness/cli when a source is newer than the bundle. Modules that are loaded late become chunks of their own. */
async function bundleCommandLine() {
  const sources = SOURCES.map((path) => join(root, path)).filter((path) => existsSync(path));
  if (existsSync(library) && existsSync(bundle) && sources.every((path) => newest(path) <= statSync(bundle).mtimeMs)) return;
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: root,
    entryPoints: { selvedge: "harness/cli/entry.ts", index: "harness/index.ts" },
    outdir: "dist",
    outExtension: { ".js": ".mjs" },
    chunkNames: `${chunkFolder}/[name]-[hash]`,
    bundle: true,
    splitting: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    external: EXTERNAL,
    sourcemap: "linked",
    sourcesContent: false,
    // Bundled CommonJS packages require Node's own modules.
    banner: { js: 'import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);' },
    logLevel: "error",
  });
  // The entries come last: until they are there, the earlier ones work with the earlier chunks.
  const order = (path) => Number(path === bundle) * 2 + Number(path === library);
  const files = result.outputFiles.sort((a, b) => order(a.path) - order(b.path));
  for (const { path, contents } of files) writeAtomically(path, contents);
  removeStaleChunks(new Set(files.map(({ path }) => path)));
}

function removeStaleChunks(current) {
  const folder = join(root, "dist", chunkFolder);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!current.has(path) && Date.now() - statSync(path).mtimeMs > STALE_CHUNK_MS) rmSync(path, { force: true });
  }
}

function writeAtomically(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

/** Latest modification of a file, or of anything in a folder; a folder's own time tells of what was deleted. */
function newest(path) {
  const { mtimeMs, ...stat } = statSync(path);
  const isDirectory = (stat.mode & 0o170000) === 0o040000;
  return isDirectory ? Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name)))) : mtimeMs;
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

export function stop(message, code = 1) {
  process.stderr.write(`selvedge: ${message}\n`);
  process.exit(code);
}
