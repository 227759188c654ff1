/** istiod's trustdomain.Bundle. */

/** The principals, with each trust domain of the bundle in place of one that belongs to it. */
export function replaceTrustDomains(principals: readonly string[], bundle: readonly string[]): string[] {
  return principals.flatMap((principal) => {
    const [own, ...rest] = principal.split("/") as [string, ...string[]];
    if (rest.length !== 4 || own === "*") return [principal];
    const known = own === "cluster.local" || bundle.some((td) => own === td || td === "*" || prefix(own, td) || prefix(td, own) || suffix(own, td) || suffix(td, own));
    if (!known) return [principal];
    return [...new Set(bundle.map((td) => (suffix(td, own) ? principal : [td, ...rest].join("/"))))];
  });
}

export function expandTrustDomains(values: readonly string[], bundle: readonly string[]): string[] {
  return [...new Set(values.flatMap((value) => (bundle.includes(value) ? bundle : [value])))];
}

const prefix = (text: string, pattern: string): boolean => pattern.endsWith("*") && text.startsWith(pattern.slice(0, -1));
const suffix = (text: string, pattern: string): boolean => pattern.startsWith("*") && text.endsWith(pattern.slice(1));
