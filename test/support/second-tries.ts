/** Names the tests that failed and then passed: a gate may let them through, and nobody may overlook them. */
import type { Reporter, TestCase } from "vitest/node";

export default class SecondTries implements Reporter {
  readonly #seen: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const [error] = test.result().errors ?? [];
    this.#seen.push(`  ${test.module.relativeModuleId} > ${test.fullName}\n    ${(error?.message ?? "no error is told").slice(0, 2_000).replaceAll("\n", "\n    ")}`);
  }

  onTestRunEnd(): void {
    if (this.#seen.length > 0) process.stdout.write(`\npassed only when tried again: ${this.#seen.length}\n${this.#seen.join("\n")}\n`);
  }
}
