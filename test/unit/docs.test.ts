/** What the documents say is held to the code: commands, options, files, snippets. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { packageRoot } from "../../harness/build/root.ts";
import { verbs } from "../../harness/cli/verbs.ts";

const read = (path: string): string => readFileSync(join(packageRoot, path), "utf8");
const scripts = (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts;
const documents = ["README.md", "ARCHITECTURE.md", "RATIONALE.md", "CONTRIBUTING.md", "SECURITY.md", "filters", "envoy-configs", "harness"].flatMap((place) =>
  place.endsWith(".md") ? [place] : listMarkdown(place),
);

function listMarkdown(folder: string): string[] {
  return readdirSync(join(packageRoot, folder)).map((name) => `${folder}/${name}/README.md`).filter((path) => existsSync(join(packageRoot, path)));
}

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map((match) => match[1]!);

const commands = (text: string): string[] =>
  blocks(text, "sh")
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "");

/** Names of a verb's options, aliases included. */
function optionsOf(verb: (typeof verbs)[number]): Set<string> {
  return new Set(
    Object.entries(verb.args).flatMap(([name, option]) => {
      if (option.type === "positional") return [];
      const aliases = "alias" in option ? [option.alias ?? []].flat() : [];
      return [`--${name}`, ...aliases.map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`))];
    }),
  );
}

describe.each(documents)("%s", (document) => {
  const text = read(document);

  it("names commands, options and files that exist", () => {
    for (const command of commands(text)) {
      const [program, ...rest] = command.split(/\s+/);
      if (program === "npm") {
        const script = rest[0] === "run" ? rest[1]! : rest[0]!;
        if (!["install", "pack"].includes(script)) expect(Object.keys(scripts), command).toContain(script);
      } else if (program === "npx" && rest[0] === "selvedge") {
        const verb = verbs.find(({ name }) => name === rest[1]);
        expect(verb, command).toBeDefined();
        for (const word of rest.slice(2).filter((each) => each.startsWith("-"))) expect([...optionsOf(verb!)], command).toContain(word.split("=")[0]);
      }
      for (const word of rest) {
        if (/^(filters|envoy-configs|test|harness)\//.test(word)) expect(existsSync(join(packageRoot, word)), `${command}: ${word}`).toBe(true);
      }
    }
  });

  it("links to files that exist", () => {
    for (const [, target] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      expect(existsSync(join(packageRoot, dirname(document), target!)), target).toBe(true);
    }
  });
});

describe("README.md", () => {
  const text = read("README.md");

  it("lists every verb, and no other", () => {
    const listed = [...text.matchAll(/^\| `selvedge (\w+)/gm)].map((match) => match[1]);
    expect([...listed].sort()).toEqual(verbs.map(({ name }) => name).sort());
  });

  it("shows a part of the configuration that it names", () => {
    const lines = (yaml: string): string[] => yaml.split("\n").map((line) => line.trim());
    const [, file, snippet] = /<!-- snippet: (\S+) -->\n+```yaml\n([\s\S]*?)```/.exec(text) ?? [];
    expect(file).toBeDefined();
    expect(lines(read(file!)).join("\n")).toContain(lines(snippet!.trimEnd()).join("\n"));
  });
});
