/** Durations: Gateway API's notation (GEP-2257) in, Envoy's out. */

const UNITS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds; the text has already passed the schema's pattern. */
export function parseDuration(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(h|ms|m|s)/g)) total += Number(amount) * UNITS[unit!]!;
  return total;
}

/** Protobuf's JSON form: seconds with up to three decimals and an `s`. */
export function seconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`;
}
