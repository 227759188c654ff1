import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("the README lists every code, and no other", () => {
  const sources = readdirSync("harness/lint").filter((name) => name.endsWith(".ts")).map((name) => readFileSync(`harness/lint/${name}`, "utf8")).join("\n");
  const reported = [...sources.matchAll(/(?:code: |report\.(?:warn|error)\(|\]\(|refuse\()"([a-z-]+)"/g)].map((match) => match[1]!);
  const listed = [...readFileSync("harness/lint/README.md", "utf8").matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]!);
  expect([...new Set(reported)].sort()).toEqual(listed.sort());
});
