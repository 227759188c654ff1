/** What became of a token, in the words with which Envoy answers a client. */
export const STATUS = {
  ok: "OK",
  missed: "Jwt is missing",
  notYetValid: "Jwt not yet valid",
  expired: "Jwt is expired",
  badFormat: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  headerBase64: "Jwt header is an invalid Base64url encoded",
  headerJson: "Jwt header is an invalid JSON",
  headerAlg: "Jwt header [alg] field is required and must be a string",
  headerAlgUnknown: "Jwt header [alg] is not supported",
  headerKid: "Jwt header [kid] field is not a string",
  payloadBase64: "Jwt payload is an invalid Base64url encoded",
  payloadJson: "Jwt payload is an invalid JSON",
  signatureBase64: "Jwt signature is an invalid Base64url encoded",
  unknownIssuer: "Jwt issuer is not configured",
  audience: "Audiences in Jwt are not allowed",
  verification: "Jwt verification fails",
  ed25519Length: "Jwt ED25519 signature is wrong length",
  noKeys: "Jwks doesn't have any valid public key",
  noMatchingKey: "Jwks doesn't have key to match kid or alg from Jwt",
  fetch: "Jwks remote fetch is failed",
} as const;

/** One of `STATUS`, or `Jwt payload [<claim>] field is not …`. */
export type Status = string;

export const notString = (claim: string): Status => `Jwt payload [${claim}] field is not a string`;
export const notStrings = (claim: string): Status => `Jwt payload [${claim}] field is not a string or string list`;
export const notInteger = (claim: string): Status => `Jwt payload [${claim}] field is not an integer`;
export const notPositive = (claim: string): Status => `Jwt payload [${claim}] field is not a positive 64 bit integer`;
