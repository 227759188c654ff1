import { expect, it } from "vitest";
import { shares } from "../../../harness/cases/engines/envoy/config.ts";

const MB = 2 ** 20;

it("one Envoy has as many cases as it compiles in seconds: many of small modules, few of large ones", () => {
  const parts = (sizes: number[]): number[] => shares(sizes.map((size) => ({ module: String(size) })), Number);
  expect(parts(Array<number>(130).fill(MB / 10))).toEqual([...Array<number>(128).fill(0), 1, 1]);
  expect(parts([20 * MB, 20 * MB, 20 * MB, MB])).toEqual([0, 0, 1, 1]);
  expect(parts([100 * MB, MB])).toEqual([0, 1]); // one that is too large is still run
  expect(parts([])).toEqual([]);
});
