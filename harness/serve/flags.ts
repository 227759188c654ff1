/** Envoy's response flags: their bit for filters (legacy), their letters for the access log. */
export const FLAGS = {
  noHealthyUpstream: [0x2, "UH"],
  upstreamTimeout: [0x4, "UT"],
  upstreamConnectionFailure: [0x20, "UF"],
  upstreamConnectionTermination: [0x40, "UC"],
  upstreamOverflow: [0x80, "UO"],
  noRoute: [0x100, "NR"],
  unauthorizedExternalService: [0x1000, "UAEX"],
  downstreamTermination: [0x4000, "DC"],
  retryLimit: [0x8000, "URX"],
  idleTimeout: [0x10000, "SI"],
  upstreamProtocolError: [0x800000, "UPE"],
} as const satisfies Record<string, readonly [number, string]>;

export type Flag = keyof typeof FLAGS;

/** The letters of all flags that are set. */
export function flagLetters(bits: number): string {
  return Object.values(FLAGS).filter(([bit]) => (bits & bit) !== 0).map(([, letters]) => letters).join(",");
}
