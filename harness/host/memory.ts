const UINT32_MAX = 0xffffffff;

/** Short byte strings that modules ask for again and again (header names, property paths). */
class StringCache {
  private readonly slots: (string | undefined)[] = new Array(512);

  read(bytes: Buffer, at: number, size: number): string {
    let hash = size;
    const end = at + size;
    for (let i = at; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
    const slot = (hash ^ (hash >>> 9)) & 511;
    const known = this.slots[slot];
    if (known !== undefined && known.length === size) {
      let same = true;
      for (let i = 0; i < size; i++) {
        if (known.charCodeAt(i) !== bytes[at + i]) {
          same = false;
          break;
        }
      }
      if (same) return known;
    }
    const text = bytes.toString("latin1", at, end);
    this.slots[slot] = text;
    return text;
  }
}

/**
 * The linear memory of one VM as the host reads and writes it. Views are kept until the memory grows (a grown
 * ArrayBuffer is detached: its length becomes 0). Every access is checked; pointers come from the module.
 */
export class GuestMemory {
  private bytes: Buffer = Buffer.alloc(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  private readonly memory: WebAssembly.Memory;
  private readonly strings = new StringCache();

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.refresh();
  }

  private refresh(): void {
    this.bytes = Buffer.from(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
  }

  /** Size now, in bytes. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** Whether `size` bytes at `at` (both taken as u32) are inside. Leaves the views fresh. */
  fits(at: number, size: number): boolean {
    if (this.bytes.length === 0) this.refresh();
    const end = (at >>> 0) + (size >>> 0);
    if (end <= this.bytes.length) return end <= UINT32_MAX;
    if (this.memory.buffer.byteLength === this.bytes.length) return false;
    this.refresh();
    return end <= this.bytes.length && end <= UINT32_MAX;
  }

  /** A view (no copy) that is valid until the module runs again; undefined when out of bounds. */
  slice(at: number, size: number): Buffer | undefined {
    if (!this.fits(at, size)) return undefined;
    return this.bytes.subarray(at >>> 0, (at >>> 0) + (size >>> 0));
  }

  /** A copy; undefined when out of bounds. */
  copy(at: number, size: number): Uint8Array | undefined {
    if (!this.fits(at, size)) return undefined;
    return Uint8Array.prototype.slice.call(this.bytes, at >>> 0, (at >>> 0) + (size >>> 0));
  }

  /** A byte string; undefined when out of bounds. */
  text(at: number, size: number): string | undefined {
    if (!this.fits(at, size)) return undefined;
    at >>>= 0;
    size >>>= 0;
    return size <= 64 ? this.strings.read(this.bytes, at, size) : this.bytes.toString("latin1", at, at + size);
  }

  /** Writes bytes that `fits` has approved. */
  write(at: number, data: Uint8Array): void {
    this.bytes.set(data, at >>> 0);
  }

  /** Writes a byte string that `fits` has approved. */
  writeText(at: number, text: string): void {
    at >>>= 0;
    const length = text.length;
    if (length > 48) this.bytes.write(text, at, "latin1");
    else for (let i = 0; i < length; i++) this.bytes[at + i] = text.charCodeAt(i);
  }

  /** The whole memory, fresh; for encoders that write in place after `fits`. */
  get raw(): Buffer {
    return this.bytes;
  }

  setU32(at: number, value: number): boolean {
    if (!this.fits(at, 4)) return false;
    this.view.setUint32(at >>> 0, value >>> 0, true);
    return true;
  }

  setU64(at: number, value: bigint): boolean {
    if (!this.fits(at, 8)) return false;
    this.view.setBigUint64(at >>> 0, BigInt.asUintN(64, value), true);
    return true;
  }

  getU32(at: number): number | undefined {
    return this.fits(at, 4) ? this.view.getUint32(at >>> 0, true) : undefined;
  }
}
