/** A file or directory to put into a tar archive. */
export interface TarEntry {
  /** Path in the archive, without a leading slash; a directory's ends with one. At most 255 bytes. */
  name: string;
  mode: number;
  data?: Uint8Array;
}

const BLOCK = 512;

/** A POSIX ustar archive with fixed times and owners: the same entries give the same bytes. */
export function* tar(entries: Iterable<TarEntry>): Generator<Buffer> {
  for (const { name, mode, data = new Uint8Array() } of entries) {
    const [prefix, base] = splitName(name);
    const header = Buffer.alloc(BLOCK);
    const octal = (value: number, at: number, size: number): void => void header.write(`${value.toString(8).padStart(size - 1, "0")}\0`, at, "latin1");
    header.write(base, 0, "utf8");
    octal(mode, 100, 8);
    octal(0, 108, 8); // user
    octal(0, 116, 8); // group
    octal(data.length, 124, 12);
    octal(0, 136, 12); // time
    header.write("        ", 148, "latin1"); // the checksum counts as blanks
    header.write(name.endsWith("/") ? "5" : "0", 156, "latin1");
    header.write("ustar\x0000", 257, "latin1");
    header.write(prefix, 345, "utf8");
    octal(header.reduce((sum, byte) => sum + byte, 0), 148, 7);
    yield header;
    yield Buffer.from(data.buffer, data.byteOffset, data.length);
    yield Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK);
  }
  yield Buffer.alloc(BLOCK * 2);
}

/** A header has 100 bytes for the name, and 155 for directories before it. */
function splitName(name: string): [prefix: string, base: string] {
  if (Buffer.byteLength(name) <= 100) return ["", name];
  for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1)) {
    const [prefix, base] = [name.slice(0, slash), name.slice(slash + 1)];
    if (base !== "" && Buffer.byteLength(base) <= 100 && Buffer.byteLength(prefix) <= 155) return [prefix, base];
  }
  throw new RangeError(`${name} is too long for a tar header`);
}
