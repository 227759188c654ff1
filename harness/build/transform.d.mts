/** Types of transform.mjs, which stays plain JavaScript so that asc can load it by path. */
export const CALLBACK_METHODS: Readonly<Record<string, readonly string[]>>;
export const CALLBACK_CAUSES: Readonly<Record<string, readonly string[]>>;

export default class SelvedgeTransform {
  /** asc's Program; internal to asc, so only what the build reads is named. */
  readonly program: { diagnostics: unknown[] };
  /** SDK callback exports that this build left out. */
  readonly pruned: string[];
}
