import { describe, expect, test } from "vitest";
import { load } from "./support.ts";

/** Logs a letter for each callback, and size and end of data; stops downstream data until there are five bytes. */
const NOTES = `(func $note (param $at i32) (param $n i32) (param $end i32)
    (i32.store8 offset=1 (local.get $at) (i32.add (i32.const 48) (local.get $n))) (i32.store8 offset=2 (local.get $at) (i32.add (i32.const 48) (local.get $end)))
    (drop (call $log (i32.const 2) (local.get $at) (i32.const 3))))
  (func (export "proxy_on_new_connection") (param i32) (result i32) (call $note (i32.const 16) (i32.const 0) (i32.const 0)) (i32.const 0))
  (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (call $note (i32.const 24) (local.get 1) (local.get 2)) (i32.lt_u (local.get 1) (i32.const 5)))
  (func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32) (call $note (i32.const 32) (local.get 1) (local.get 2)) (i32.const 0))
  (func (export "proxy_on_downstream_connection_close") (param i32 i32) (call $note (i32.const 40) (local.get 1) (i32.const 0)))
  (func (export "proxy_on_upstream_connection_close") (param i32 i32) (call $note (i32.const 48) (local.get 1) (i32.const 0)))
  (func (export "proxy_on_done") (param i32) (result i32) (call $note (i32.const 56) (i32.const 0) (i32.const 0)) (i32.const 1))
  (func (export "proxy_on_log") (param i32) (call $note (i32.const 64) (i32.const 0) (i32.const 0)))
  (func (export "proxy_on_delete") (param i32) (call $note (i32.const 72) (i32.const 0) (i32.const 0)))
  (data (i32.const 16) "N") (data (i32.const 24) "d") (data (i32.const 32) "u") (data (i32.const 40) "C") (data (i32.const 48) "U") (data (i32.const 56) "D") (data (i32.const 64) "L") (data (i32.const 72) "X")`;

describe("a TCP connection", () => {
  test("shows stopped bytes again with the next ones, and ends in order", async () => {
    const filter = await load(NOTES);
    const connection = filter.tcp();
    connection.data("abc");
    expect(connection.toUpstream).toHaveLength(0);
    connection.data("de");
    connection.upstreamData("answer", true);
    connection.close();
    connection.close();
    expect(Buffer.from(connection.toUpstream).toString()).toBe("abcde");
    expect(Buffer.from(connection.toClient).toString()).toBe("answer");
    expect(filter.logs.map((entry) => entry.message)).toEqual(["N00", "d30", "d50", "u61", "U00", "C20", "D00", "L00", "X00"]);
  });

  test("is closed when the module traps", async () => {
    const filter = await load('(func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (unreachable))');
    const connection = filter.tcp();
    connection.data("x");
    expect(connection.closedBy).toBe("failure");
    expect(filter.tcp().closedBy).toBe("failure");
  });

  test("has an upstream once the filter lets it have one", async () => {
    const asks = (action: number) => `
      (func $ask (drop (call $log (i32.const 2) (i32.const 60) (i32.add (i32.const 1) (i32.eqz (call $property (i32.const 16) (i32.const 16) (i32.const 40) (i32.const 44)))))))
      (func (export "proxy_on_new_connection") (param i32) (result i32) (call $ask) (i32.const ${action}))
      (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (call $ask) (i32.const 0))
      (func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32) (call $ask) (i32.const 0))
      (data (i32.const 16) "upstream\\00address") (data (i32.const 60) "no")`;
    const seen = async (action: number): Promise<string[]> => {
      const filter = await load(asks(action));
      const connection = filter.tcp({ upstream: { address: "10.0.0.7" } });
      connection.data("x");
      connection.upstreamData("y");
      return filter.logs.map(({ message }) => message);
    };
    expect(await seen(0)).toEqual(["n", "no", "no"]);
    expect(await seen(1)).toEqual(["n", "n", "no"]); // stopped: tcp_proxy doesn't know of the connection yet
  });
});
