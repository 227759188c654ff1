/** Progress on standard error: one line that changes on a terminal, plain lines elsewhere. */

const PLAIN_EVERY_MS = 2_000;
const TERMINAL_EVERY_MS = 100;

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export class Progress {
  readonly #output: Output;
  readonly #now: () => number;
  #lastAt = 0;
  #open = false;

  constructor(output: Output, now: () => number = Date.now) {
    this.#output = output;
    this.#now = now;
  }

  /** A step that begins. */
  step(text: string): void {
    this.#lastAt = this.#now();
    this.#print(text);
  }

  /** How far the step is; may be called as often as it likes. */
  update(text: string): void {
    const now = this.#now();
    if (now - this.#lastAt < (this.#output.isTTY ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) return;
    this.#lastAt = now;
    this.#print(text);
  }

  /** Leaves the terminal as it was. */
  done(): void {
    if (this.#open) this.#output.write("\r\u001b[K");
    this.#open = false;
  }

  #print(text: string): void {
    if (!this.#output.isTTY) {
      this.#output.write(`${text}\n`);
      return;
    }
    const width = (this.#output.columns || 80) - 1; // some terminals say 0
    this.#output.write(`\r\u001b[K${text.slice(0, width)}`);
    this.#open = true;
  }
}
