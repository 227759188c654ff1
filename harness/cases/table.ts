/** Fills `${name}` in. Pure. */

export type Values = Readonly<Record<string, unknown>>;

const PLACE = /\$\{([^}]*)\}/g;
const WHOLE = /^\$\{([^}]*)\}$/;

/**
 * A copy of `value` with every `${name}` that `values` has filled in, in texts and names of fields. A text that is nothing
 * but `${name}` becomes the value itself, list or number; where that is null, the field that holds it is left out. Other
 * names stay as they are.
 */
export function substitute(value: unknown, values: Values): unknown {
  if (typeof value === "string") {
    const whole = WHOLE.exec(value)?.[1];
    if (whole !== undefined && Object.hasOwn(values, whole)) return values[whole];
    return text(value, values);
  }
  if (Array.isArray(value)) return value.map((each) => substitute(each, values));
  if (typeof value !== "object" || value === null) return value;
  const filled = Object.entries(value).map(([key, each]): [string, unknown, boolean] => {
    const result = substitute(each, values);
    return [text(key, values), result, result === null && each !== null];
  });
  return Object.fromEntries(filled.filter(([, , left]) => !left).map(([key, each]) => [key, each]));
}

function text(template: string, values: Values): string {
  return template.replace(PLACE, (place, name: string) => (Object.hasOwn(values, name) ? show(values[name]) : place));
}

function show(value: unknown): string {
  return typeof value === "string" ? value : value === null ? "" : JSON.stringify(value);
}

/** Every name that occurs as `${name}`, each with the path of one place. */
export function placeholders(value: unknown, path: (string | number)[] = [], found = new Map<string, (string | number)[]>()): Map<string, (string | number)[]> {
  const collect = (template: string): void => {
    for (const [, name] of template.matchAll(PLACE)) if (!found.has(name!)) found.set(name!, path);
  };
  if (typeof value === "string") collect(value);
  else if (Array.isArray(value)) value.forEach((each, index) => placeholders(each, [...path, index], found));
  else if (typeof value === "object" && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      collect(key);
      placeholders(each, [...path, key], found);
    }
  }
  return found;
}

/** A row as a case's name shows it: `path=/a, peer=…`. */
export function rowName(row: Values): string {
  const short = (value: unknown): string => {
    // A name is one line.
    const shown = (value === null ? "none" : show(value)).replace(/[\r\n\t]/g, (each) => JSON.stringify(each).slice(1, -1));
    return shown.length > 40 ? `${shown.slice(0, 39)}…` : shown;
  };
  return Object.entries(row).map(([name, value]) => `${name}=${short(value)}`).join(", ");
}
