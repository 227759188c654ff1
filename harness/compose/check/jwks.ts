/** Key sets as text: what a verifier must never be given, and what it can't use. */

const ALGORITHMS = ["RSA", "EC", "OKP"];

/** What is wrong with a JSON Web Key Set (RFC 7517), or undefined. */
export function jwksProblem(text: string): string | undefined {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return "this is no JSON";
  }
  const keys = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) return "a key set is an object with the list `keys`";
  if (keys.length === 0) return "a key set without keys verifies no token";
  for (const [i, key] of keys.entries()) {
    const { kty, d, k } = (typeof key === "object" && key !== null ? key : {}) as Record<string, unknown>;
    if (d !== undefined) return `keys[${i}] holds a private key: give the public part only, without \`d\``;
    if (kty === "oct" || k !== undefined) return `keys[${i}] is a shared secret: whoever reads it can make tokens`;
    if (typeof kty !== "string" || !ALGORITHMS.includes(kty)) return `keys[${i}] has no \`kty\` of ${ALGORITHMS.join(", ")}`;
  }
  return undefined;
}
