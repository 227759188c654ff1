import { fromByteString } from "./bytes.ts";
import type { HostCalls } from "./imports.ts";
import type { CalloutView } from "./context.ts";
import { Status, StreamType } from "./types.ts";
import type { Vm } from "./vm.ts";

/** Highest gRPC status code that Envoy passes on; anything else means "none given". */
const MAX_GRPC_STATUS = 16;

/** Stream control, effective context, shutdown and the status of the last callout. */
export function controlCalls(vm: Vm): HostCalls {
  return {
    proxy_continue_stream(type: number) {
      return type >>> 0 > StreamType.Upstream ? Status.BadArgument : vm.context.continueStream(type);
    },

    proxy_close_stream(type: number) {
      return type >>> 0 > StreamType.Upstream ? Status.BadArgument : vm.context.closeStream(type);
    },

    // ABI 0.1.0
    proxy_continue_request() {
      return vm.context.continueStream(StreamType.Request);
    },

    proxy_continue_response() {
      return vm.context.continueStream(StreamType.Response);
    },

    proxy_clear_route_cache() {
      vm.context.clearRouteCache();
      return Status.Ok;
    },

    // The reply itself is sent when the callback has returned; until then its return value counts as "stop".
    proxy_send_local_response(
      status: number,
      detailsAt: number, detailsSize: number,
      bodyAt: number, bodySize: number,
      headersAt: number, headersSize: number,
      grpcStatus: number,
    ) {
      const details = vm.memory.text(detailsAt, detailsSize);
      const body = vm.memory.copy(bodyAt, bodySize);
      const headers = vm.memory.slice(headersAt, headersSize);
      if (details === undefined || body === undefined || headers === undefined) return Status.InvalidMemoryAccess;
      vm.context.sendLocalReply({
        status: status >>> 0,
        body,
        headers: vm.pairs("proxy_send_local_response", headers),
        grpcStatus: grpcStatus >= 0 && grpcStatus <= MAX_GRPC_STATUS ? grpcStatus : -1,
        details: fromByteString(details).replace(/\s/g, "_"),
      });
      vm.stopIteration = true;
      return Status.Ok;
    },

    proxy_set_effective_context(id: number) {
      if (!vm.contexts.has(id >>> 0)) return Status.BadArgument;
      vm.effectiveId = id >>> 0;
      return Status.Ok;
    },

    // Ends a plugin whose on_done answered "not yet"; its on_delete runs after this callback.
    proxy_done() {
      const key = vm.context.plugin?.key;
      const root = key === undefined ? undefined : vm.pendingDone.get(key);
      if (root === undefined) return Status.NotFound;
      vm.pendingDone.delete(key!);
      vm.defer(() => root.onDelete());
      return Status.Ok;
    },

    proxy_get_status(codeOut: number, messageOut: number, sizeOut: number) {
      const root = vm.context.root as Partial<CalloutView>;
      if (!vm.memory.setU32(codeOut, root.statusCode ?? 0)) return Status.InvalidMemoryAccess;
      return vm.giveText(root.statusMessage ?? "", messageOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}
