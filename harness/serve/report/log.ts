/** What the node has logged lately, in Envoy's form; access logs are lines of their own. */

const MOST_LINES = 10_000;

export class Log {
  readonly #lines: string[] = [];
  /** Lines that are gone. */
  #dropped = 0;

  write(level: string, message: string): void {
    this.line(`[${new Date().toISOString().replace("T", " ").replace("Z", "")}][${level}] ${message}`);
  }

  line(text: string): void {
    this.#lines.push(text);
    if (this.#lines.length > MOST_LINES * 2) this.#dropped += this.#lines.splice(0, MOST_LINES).length;
  }

  /** From a position on, which counts lines, and the next one. */
  read(from: number): { text: string; next: number } {
    const lines = this.#lines.slice(Math.max(0, from - this.#dropped));
    return { text: lines.map((line) => `${line}\n`).join(""), next: this.#dropped + this.#lines.length };
  }

  text(): string {
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }
}
