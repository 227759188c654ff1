import { colors } from "../colors.ts";
import { UsageError } from "../errors.ts";
import { composeOptions, policyArgs } from "./policies.ts";
import { defineVerb } from "./verb.ts";

export const reach = defineVerb({
  name: "reach",
  summary: "List what a principal can reach on this node, under which conditions, tried out on the module",
  args: {
    ...policyArgs,
    as: { type: "string", required: true, valueHint: "ID", description: "Caller: a SPIFFE ID, namespace/account, or anonymous (no certificate)" },
  },
  async run({ args }) {
    if (args.as === "") throw new UsageError("--as needs a SPIFFE ID, namespace/account, or anonymous");
    const { EdgeNode } = await import("../decide/node.ts");
    const { peerOf } = await import("../decide/request.ts");
    const { reach: reached } = await import("../reach/reach.ts");
    const { reachText } = await import("../reach/text.ts");
    const node = EdgeNode.load(args.dir, composeOptions(args));
    try {
      const { findings, ...result } = reached(node, peerOf(args.as, node.trustDomain));
      return { text: reachText({ ...result, findings }, colors), data: result, findings };
    } finally {
      node.close();
    }
  },
});
