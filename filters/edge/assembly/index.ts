/** Root id `edge`: authorization, canary and telemetry in one module. */
export * from "../../sdk/assembly/proxy";
import { utf8 } from "../../sdk/assembly/bytes";
import { registerRootContext } from "../../sdk/assembly/context";
import { EdgeRoot } from "./filter";

registerRootContext((context_id: u32) => new EdgeRoot(context_id), utf8("edge"));
