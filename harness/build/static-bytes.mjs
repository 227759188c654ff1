/**
 * `utf8("text")` with a literal becomes static UTF-8 bytes in the module: half the size of the UTF-16 string it would be
 * otherwise, no header, and nothing to do when the module starts.
 *
 * @module
 */

/* global i64_new -- how asc makes a 64-bit integer in JavaScript */
import { AssertionKind, CallExpression, IdentifierExpression, Node, StringLiteralExpression, Token } from "assemblyscript";

/** The SDK's function that takes the text. */
const FROM_TEXT = "utf8";

/** Replaces each such call below the node, a syntax tree as asc parsed it. */
export function staticBytes(node) {
  for (const [key, value] of Object.entries(node)) {
    if (key === "range") continue;
    if (value instanceof Node) node[key] = replaced(value);
    else if (Array.isArray(value)) {
      value.forEach((item, index) => {
        if (item instanceof Node) value[index] = replaced(item);
      });
    }
  }
}

function replaced(node) {
  if (isLiteralCall(node)) return staticView(node.args[0].value, node.range);
  staticBytes(node);
  return node;
}

function isLiteralCall(node) {
  return (
    node instanceof CallExpression &&
    node.expression instanceof IdentifierExpression &&
    node.expression.text === FROM_TEXT &&
    node.args.length === 1 &&
    node.args[0] instanceof StringLiteralExpression
  );
}

/** A `View` as bytes.ts packs it: `(<u64>memory.data<u8>([…]) << 32) | size`. */
function staticView(text, range) {
  const bytes = new TextEncoder().encode(text);
  const integer = (value) => Node.createIntegerLiteralExpression(i64_new(value, 0), range);
  const identifier = (name) => Node.createIdentifierExpression(name, range);
  const type = (name) => Node.createNamedType(Node.createSimpleTypeName(name, range), null, false, range);
  const elements = Node.createArrayLiteralExpression(Array.from(bytes.length ? bytes : [0], integer), range);
  const data = Node.createPropertyAccessExpression(identifier("memory"), identifier("data"), range);
  const address = Node.createCallExpression(data, [type("u8")], [elements], range);
  const wide = Node.createAssertionExpression(AssertionKind.Prefix, address, type("u64"), range);
  const shifted = Node.createBinaryExpression(Token.LessThan_LessThan, wide, integer(32), range);
  const view = Node.createBinaryExpression(Token.Bar, shifted, integer(bytes.length), range);
  return Node.createParenthesizedExpression(view, range);
}
