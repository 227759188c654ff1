import { utf8 } from "../../sdk/assembly/bytes";
import { registerRootContext } from "../../sdk/assembly/context";
import { TelemetryRoot } from "./filter";

export * from "../../sdk/assembly/proxy";

registerRootContext((context_id: u32) => new TelemetryRoot(context_id), utf8("telemetry"));
