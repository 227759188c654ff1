import { utf8 } from "../../sdk/assembly/bytes";
import { registerRootContext } from "../../sdk/assembly/context";
import { CanaryRoot } from "./filter";

export * from "../../sdk/assembly/proxy";

registerRootContext((context_id: u32) => new CanaryRoot(context_id), utf8("canary"));
