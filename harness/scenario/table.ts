/** Columns of text for a screen of limited width. Pure. */

export interface Column {
  align?: "left" | "right";
  /** May be cut, with an ellipsis, where the lines get too long: the column of the lowest order first, down to `least`. */
  shrink?: { order: number; least: number };
}

/** A cell, and how to colour it once it has its width. */
export type Cell = string | { text: string; style: (text: string) => string };

const GAP = 2;

/** Lines with the columns two blanks apart, at most `width` wide as far as shrinking allows, without blanks at the end. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width = Infinity): string[] {
  const widths = columns.map((_, i) => Math.max(0, ...rows.map((row) => plain(row[i]).length)));
  shrink(columns, widths, width);
  return rows.map((row) => {
    const last = row.findLastIndex((cell) => plain(cell) !== "");
    return row
      .slice(0, last + 1)
      .map((cell, i) => {
        const text = cut(plain(cell), widths[i]!);
        const padded = columns[i]!.align === "right" ? text.padStart(widths[i]!) : i === last ? text : text.padEnd(widths[i]!);
        return typeof cell === "string" ? padded : cell.style(padded);
      })
      .join(" ".repeat(GAP));
  });
}

function shrink(columns: readonly Column[], widths: number[], width: number): void {
  let excess = widths.reduce((total, each) => total + each, GAP * (columns.length - 1)) - width;
  const shrinking = columns.flatMap(({ shrink }, i) => (shrink ? [{ i, ...shrink }] : []));
  for (const { i, least } of shrinking.sort((a, b) => a.order - b.order)) {
    if (excess <= 0) return;
    const given = Math.min(excess, Math.max(0, widths[i]! - least));
    widths[i]! -= given;
    excess -= given;
  }
}

function plain(cell: Cell | undefined): string {
  return cell === undefined ? "" : typeof cell === "string" ? cell : cell.text;
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
