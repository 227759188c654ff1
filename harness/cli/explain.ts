import { colors } from "../colors.ts";
import { UsageError, type Finding } from "../errors.ts";
import { composeOptions, policyArgs, wholeNumber } from "./policies.ts";
import { defineVerb } from "./verb.ts";

const REQUEST = ["as", "to", "method", "host", "path", "header", "port", "ip", "remote-ip", "local-ip", "sni", "jwt-claims"] as const;

export const explain = defineVerb({
  name: "explain",
  summary: "Say why a request, or a connection, is allowed or denied: by which policy, rule and line, and what the nearest rules lack",
  args: {
    ...policyArgs,
    as: { type: "string", valueHint: "ID", description: "Caller: a SPIFFE ID, namespace/account, or anonymous (no certificate), which is the default" },
    to: { type: "string", valueHint: "NAME", description: "Destination namespace/name, instead of the route that host and path take" },
    method: { type: "string", description: "GET unless given" },
    host: { type: "string", description: "Host header, with its port if the client sends one" },
    path: { type: "string", description: "Path, with its query if routes need it; / unless given" },
    header: { type: "string", valueHint: "NAME:VALUE", description: "A request header; may be given several times" },
    port: { type: "string", description: "Port of the listener; needed where there are several, and for a connection without --to" },
    ip: { type: "string", valueHint: "ADDRESS", description: "Address of the physical peer; 127.0.0.1 unless given" },
    "remote-ip": { type: "string", valueHint: "ADDRESS", description: "Client's address as Envoy determines it; --ip unless given" },
    "local-ip": { type: "string", valueHint: "ADDRESS", description: "Address that the client connects to; the listener's unless given" },
    sni: { type: "string", valueHint: "NAME", description: "Server name of the TLS handshake; the host unless given. Of a listener with several, it tells where a connection goes" },
    "jwt-claims": { type: "string", valueHint: "JSON", description: "Claims of a token that Envoy has verified, as a JSON object" },
    log: { type: "string", valueHint: "FILE[:LINE]", description: "Take the request, or the connection, from a line of an access log, the last one unless numbered; - for standard input" },
    nearest: { type: "string", valueHint: "N", description: "How many of the nearest rules to show; 5 unless given" },
  },
  async run({ args, values }) {
    const given = REQUEST.filter((name) => args[name] !== undefined);
    if (args.log !== undefined && given.length > 0) throw new UsageError(`--log takes the whole request from the log: it doesn't go with --${given[0]}`);
    if (args.log === undefined && given.length === 0) throw new UsageError("`selvedge explain` needs a request or a connection: --as, --method, --host, --path, --port, or --log FILE:LINE");
    const { EdgeNode } = await import("../decide/node.ts");
    const { explain: explained } = await import("../explain/explain.ts");
    const { explanationText } = await import("../explain/text.ts");
    const most = args.nearest === undefined ? 5 : wholeNumber("--nearest", args.nearest, 10_000);
    const node = EdgeNode.load(args.dir, composeOptions(args));
    try {
      if (args.log !== undefined) {
        const { agrees, askedAgain, lineAt } = await import("../explain/log.ts");
        const { text, line } = lineAt(args.log);
        const asked = askedAgain(node, text, line, args.log);
        const explanation = explained(node, asked.arrival, asked.request, { nearest: most, assumed: asked.assumed });
        const agreed = agrees(asked.recorded, explanation.verdict, explanation.by?.name);
        const findings: Finding[] = agreed === false ? [{ code: "log-disagrees", severity: "warning", message: "today's policies decide this request differently from when it was recorded", where: { file: args.log.replace(/:\d+$/, ""), line }, found: asked.recorded.details, expected: `${explanation.verdict}${explanation.by ? ` by ${explanation.by.name}` : ""}` }] : [];
        const note = agreed === true ? `\n  recorded as ${asked.recorded.details}: the same today` : "";
        return { text: explanationText(explanation, colors) + note, data: { ...explanation, recorded: asked.recorded, agrees: agreed ?? null }, findings };
      }
      const { askedBy } = await import("../explain/request.ts");
      const { arrival, request, assumed } = askedBy(node, {
        as: args.as, to: args.to, method: args.method, host: args.host, path: args.path, headers: values("header"), port: args.port,
        ip: args.ip, remoteIp: args["remote-ip"], localIp: args["local-ip"], sni: args.sni, jwtClaims: args["jwt-claims"],
      });
      const explanation = explained(node, arrival, request, { nearest: most, assumed });
      return { text: explanationText(explanation, colors), data: { ...explanation } };
    } finally {
      node.close();
    }
  },
});
