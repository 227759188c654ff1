import { relative } from "node:path";
import { composeOptions, policyArgs } from "./policies.ts";
import { table } from "./output.ts";
import { defineVerb } from "./verb.ts";

export const certs = defineVerb({
  name: "certs",
  summary: "Make the certificates of a folder's Scenario, for a demonstration",
  args: { ...policyArgs },
  async run({ args }) {
    const { makeCertificates } = await import("../scenario/index.ts");
    const certificates = await makeCertificates(args.dir, { compose: composeOptions(args) });
    const rows = certificates.map(({ directory, spiffeId, notAfter, issued }) => [relative(process.cwd(), directory), spiffeId ?? "authority only", notAfter.toISOString().slice(0, 16), issued ? "made" : "kept"]);
    return { text: table(["DIRECTORY", "IDENTITY", "VALID UNTIL", ""], rows), data: { certificates } };
  },
});
