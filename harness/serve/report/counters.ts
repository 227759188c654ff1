/** Counters and gauges with Envoy's names. */
export class Counters {
  readonly #values = new Map<string, number>();

  add(name: string, amount = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + amount);
  }

  set(name: string, value: number): void {
    this.#values.set(name, value);
  }

  entries(): Iterable<[string, number]> {
    return this.#values;
  }

  /** Back to 0: what Envoy's `/reset_counters` does. Gauges, whose names end in `_active`, stay. */
  reset(): void {
    for (const name of this.#values.keys()) if (!name.endsWith("_active")) this.#values.set(name, 0);
  }
}
