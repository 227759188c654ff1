/** Looks at how a connection begins without taking anything from whoever serves it. */
import type { Socket } from "node:net";

/**
 * @param decide gets all that has come so far; false: more is needed, else what to do, with everything put back
 * @param timeoutMs a connection that hasn't said enough by then is closed
 */
export function peek(socket: Socket, timeoutMs: number, decide: (bytes: Buffer) => false | (() => void)): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  timer.unref();
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("data", look);
    socket.off("end", ended);
  };
  const ended = (): void => {
    stop();
    socket.destroy();
  };
  const look = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const act = decide(seen);
    if (act === false) return;
    stop();
    socket.pause();
    socket.unshift(seen);
    act();
  };
  socket.once("close", stop);
  socket.on("data", look);
  socket.on("end", ended);
}
