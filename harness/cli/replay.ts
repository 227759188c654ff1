import { colors } from "../colors.ts";
import { composeOptions, policyArgs, wholeNumber } from "./policies.ts";
import { defineVerb } from "./verb.ts";

const { dir: _, ...options } = policyArgs;

export const replay = defineVerb({
  name: "replay",
  summary: "Decide an access log's requests again with two versions of the policies, and list what flips",
  args: {
    log: { type: "string", required: true, valueHint: "FILE", description: "JSON access log, one request a line; .gz too; - for standard input" },
    old: { type: "string", required: true, valueHint: "DIR", description: "Folder of policy files as they are" },
    new: { type: "string", required: true, valueHint: "DIR", description: "Folder of policy files as they are to be" },
    "allow-flips": { type: "boolean", description: "Exit with 0 though decisions flip" },
    limit: { type: "string", valueHint: "N", description: "How many groups to show; 20 unless given" },
    ...options,
  },
  async run({ args }) {
    const { EdgeNode } = await import("../decide/node.ts");
    const { replay: run } = await import("../replay/replay.ts");
    const { replayText } = await import("../replay/text.ts");
    const most = args.limit === undefined ? 20 : wholeNumber("--limit", args.limit);
    const compose = composeOptions(args);
    const result = await run(args.log, EdgeNode.load(args.old, compose), EdgeNode.load(args.new, compose));
    return { text: replayText(result, args.log, most, colors), data: { ...result }, failed: result.flips > 0 && !args["allow-flips"] };
  },
});
