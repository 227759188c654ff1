/** What the node has logged lately, in Envoy's form; access logs are lines of their own. */

const MOST_LINES = 10_000;

export class Log {
  readonly #lines: string[] = [];

  write(level: string, message: string): void {
    this.line(`[${new Date().toISOString().replace("T", " ").replace("Z", "")}][${level}] ${message}`);
  }

  line(text: string): void {
    this.#lines.push(text);
    if (this.#lines.length > MOST_LINES * 2) this.#lines.splice(0, MOST_LINES);
  }

  text(): string {
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }
}
