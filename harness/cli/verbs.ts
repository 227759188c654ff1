import { bench } from "./bench.ts";
import { build } from "./build.ts";
import { bundle } from "./bundle.ts";
import { certs } from "./certs.ts";
import { check } from "./check.ts";
import { compose } from "./compose.ts";
import { doctor } from "./doctor.ts";
import { explain } from "./explain.ts";
import { inspect } from "./inspect.ts";
import { reach } from "./reach.ts";
import { replay } from "./replay.ts";
import { run } from "./run.ts";
import { test } from "./test.ts";
import type { Verb } from "./verb.ts";

/** Every verb, in the order in which help lists them. */
export const verbs: readonly Verb[] = [build, check, compose, run, test, explain, reach, replay, bundle, inspect, certs, bench, doctor];
