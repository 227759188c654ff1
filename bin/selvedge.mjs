#!/usr/bin/env node
import { bootstrap } from "./bootstrap.mjs";

const { main } = await bootstrap();
process.exitCode = await main(process.argv.slice(2));
