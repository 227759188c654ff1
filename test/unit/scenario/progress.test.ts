import { describe, expect, it } from "vitest";
import { Progress } from "../../../harness/scenario/progress.ts";

function record(terminal: boolean) {
  let now = 0;
  const written: string[] = [];
  const progress = new Progress({ write: (text) => written.push(text), isTTY: terminal, columns: 20 }, () => now);
  return { written, progress, wait: (ms: number) => (now += ms) };
}

describe("progress", () => {
  it("is plain lines, and not too many, where there is no terminal", () => {
    const { written, progress, wait } = record(false);
    progress.step("starting");
    progress.update("1 of 3");
    wait(2_000);
    progress.update("2 of 3");
    progress.update("3 of 3");
    progress.done();
    expect(written.join("")).toBe("starting\n2 of 3\n");
  });

  it("is one line that changes on a terminal, cut to its width, and gone at the end", () => {
    const { written, progress, wait } = record(true);
    progress.step("a step with a long name indeed");
    wait(100);
    progress.update("1 of 3");
    progress.done();
    expect(written).toEqual(["\r\u001b[Ka step with a long ", "\r\u001b[K1 of 3", "\r\u001b[K"]);
    expect(written.join("")).not.toContain("\n");
  });
});
