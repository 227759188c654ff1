#!/usr/bin/env node
/** `npm start`: builds the filters and runs the example node. Arguments go to `selvedge run`. */
import { join, relative } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

const { main } = await bootstrap();
const out = join(root, "dist");
const code = await main(["build", "--out", out]);
const example = relative(process.cwd(), join(root, "envoy-configs", "edge")) || ".";
process.exitCode = code !== 0 ? code : await main(["run", example, ...process.argv.slice(2)]);
