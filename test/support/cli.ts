import { main } from "../../harness/cli/main.ts";

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line in this process, and returns what it printed. */
export async function selvedge(...argv: string[]): Promise<CliResult> {
  const output = { stdout: "", stderr: "" };
  const originals = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = ((text: string) => {
      output[name] += text;
      return true;
    }) as typeof process.stdout.write;
  }
  try {
    return { code: await main(argv), ...output };
  } finally {
    process.stdout.write = originals.stdout;
    process.stderr.write = originals.stderr;
  }
}
