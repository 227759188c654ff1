#!/usr/bin/env node
/** `npm start`: builds the filters and runs the example node. Arguments go to `selvedge run`. */
import { join, relative } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

const args = process.argv.slice(2);
const { main } = await bootstrap();
const out = join(root, "dist");
const code = await main(["build", "--out", out, ...(args.includes("--json") ? ["--quiet"] : [])]);
const example = relative(process.cwd(), join(root, "envoy-configs", "edge")) || ".";
process.exitCode = code !== 0 ? code : await main(["run", example, ...args]);
