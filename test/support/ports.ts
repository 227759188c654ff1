/** Ports that stay what a test takes them for, whatever else the machine does. */
import { createServer } from "node:net";

/**
 * Nobody listens here: no system hands it out, and no service of today has it (tcpmux, RFC 1078).
 * A port that was free a moment ago isn't that: the next connection or server may get it.
 */
export const NOBODYS_PORT = 1;

/** Below what Linux, and so each `listen(0)` and each connection, takes by itself (`ip_local_port_range` from 32768). */
const FIRST = 20_000;
const LAST = 32_000;

/** Ports that are free and that nobody gets by chance. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0]!;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
