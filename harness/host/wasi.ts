import type { HostCalls } from "./imports.ts";
import { LOG_LEVELS } from "./types.ts";
import type { Vm } from "./vm.ts";

/** WASI preview 1 error numbers that the host answers with. */
const OK = 0;
const BADF = 8;
const FAULT = 21;
const INVAL = 28;
const NOTDIR = 20;
const NOENT = 44;
const NOSYS = 52;
const NOTSUP = 58;
const STDOUT = 1;
const STDERR = 2;
const RANDOM_MAX_BYTES = 64 * 1024;

/** Signatures that are not all i32; WASI functions have an i32 result except proc_exit. */
const SIGNATURES: Readonly<Record<string, string>> = {
  args_get: "i32 i32 -> i32", args_sizes_get: "i32 i32 -> i32", clock_res_get: "i32 i32 -> i32", clock_time_get: "i32 i64 i32 -> i32",
  environ_get: "i32 i32 -> i32", environ_sizes_get: "i32 i32 -> i32", fd_advise: "i32 i64 i64 i32 -> i32", fd_allocate: "i32 i64 i64 -> i32",
  fd_close: "i32 -> i32", fd_datasync: "i32 -> i32", fd_fdstat_get: "i32 i32 -> i32", fd_fdstat_set_flags: "i32 i32 -> i32",
  fd_fdstat_set_rights: "i32 i64 i64 -> i32", fd_filestat_get: "i32 i32 -> i32", fd_filestat_set_size: "i32 i64 -> i32",
  fd_filestat_set_times: "i32 i64 i64 i32 -> i32", fd_pread: "i32 i32 i32 i64 i32 -> i32", fd_prestat_dir_name: "i32 i32 i32 -> i32",
  fd_prestat_get: "i32 i32 -> i32", fd_pwrite: "i32 i32 i32 i64 i32 -> i32", fd_read: "i32 i32 i32 i32 -> i32",
  fd_readdir: "i32 i32 i32 i64 i32 -> i32", fd_renumber: "i32 i32 -> i32", fd_seek: "i32 i64 i32 i32 -> i32", fd_sync: "i32 -> i32",
  fd_tell: "i32 i32 -> i32", fd_write: "i32 i32 i32 i32 -> i32", path_create_directory: "i32 i32 i32 -> i32",
  path_filestat_get: "i32 i32 i32 i32 i32 -> i32", path_filestat_set_times: "i32 i32 i32 i32 i64 i64 i32 -> i32",
  path_link: "i32 i32 i32 i32 i32 i32 -> i32", path_open: "i32 i32 i32 i32 i32 i64 i64 i32 i32 -> i32",
  path_readlink: "i32 i32 i32 i32 i32 i32 -> i32", path_remove_directory: "i32 i32 i32 -> i32",
  path_rename: "i32 i32 i32 i32 i32 i32 -> i32", path_symlink: "i32 i32 i32 i32 -> i32", path_unlink_file: "i32 i32 i32 -> i32",
  poll_oneoff: "i32 i32 i32 i32 -> i32", proc_exit: "i32 ->", random_get: "i32 i32 -> i32", sched_yield: "-> i32",
  sock_accept: "i32 i32 i32 -> i32", sock_recv: "i32 i32 i32 i32 i32 i32 -> i32", sock_send: "i32 i32 i32 i32 i32 -> i32",
  sock_shutdown: "i32 i32 -> i32",
};

/** The type that the host's WASI function of that name has. */
export function wasiSignature(name: string): string | undefined {
  return Object.hasOwn(SIGNATURES, name) ? SIGNATURES[name] : undefined;
}

/** The WASI subset that Envoy offers: no files, no sockets; stdout is level info and stderr level error of the log. */
export function wasiCalls(vm: Vm): HostCalls {
  const zero = (at: number, answer: number): number => (vm.memory.setU32(at, 0) ? answer : FAULT);
  const standard = (fd: number): boolean => fd === STDOUT || fd === STDERR;
  const complain = (name: string): void => vm.host.log("error", `wasi_unstable ${name}`, vm.current?.plugin, vm.thread.name, "host");

  const write = (fd: number, iovs: number, count: number, writtenOut: number): number => {
    if (!standard(fd)) return BADF;
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < count >>> 0; i++) {
      const at = vm.memory.getU32((iovs >>> 0) + i * 8);
      const size = vm.memory.getU32((iovs >>> 0) + i * 8 + 4);
      if (at === undefined || size === undefined) return FAULT;
      const chunk = size === 0 ? undefined : vm.memory.copy(at, size);
      if (size !== 0 && chunk === undefined) return FAULT;
      if (chunk !== undefined) chunks.push(chunk);
    }
    const text = Buffer.concat(chunks);
    if (text.length > 0) {
      const level = fd === STDOUT ? 2 : 4;
      const line = text.at(-1) === 10 ? text.subarray(0, -1) : text;
      if (level >= vm.host.logLevelNumber) vm.host.log(LOG_LEVELS[level]!, line.toString("utf8"), vm.context.plugin, vm.thread.name, "wasm");
    }
    return vm.memory.setU32(writtenOut, text.length) ? OK : FAULT;
  };

  const environment = (): Buffer[] => Object.entries(vm.settings.environment).map(([key, value]) => Buffer.from(`${key}=${value}\0`, "utf8"));

  return {
    fd_write: write,
    fd_pwrite: (fd: number, iovs: number, count: number, _offset: bigint, writtenOut: number) => write(fd, iovs, count, writtenOut),
    clock_time_get(id: number, _precision: bigint, timeOut: number) {
      if (id !== 0 && id !== 1) return NOTSUP;
      return vm.memory.setU64(timeOut, id === 0 ? vm.host.clock.wallNs() : vm.host.clock.monotonicNs()) ? OK : FAULT;
    },
    clock_res_get: (id: number, out: number) => (id !== 0 && id !== 1 ? NOTSUP : vm.memory.setU64(out, 1n) ? OK : FAULT),
    random_get(at: number, size: number) {
      if (size >>> 0 > RANDOM_MAX_BYTES) return INVAL;
      if (size === 0) return OK;
      if (!vm.memory.fits(at, size)) return FAULT;
      const bytes = new Uint8Array(size >>> 0);
      vm.host.random(bytes);
      vm.memory.write(at, bytes);
      return OK;
    },
    environ_sizes_get(countOut: number, sizeOut: number) {
      const all = environment();
      const size = all.reduce((sum, entry) => sum + entry.length, 0);
      return vm.memory.setU32(countOut, all.length) && vm.memory.setU32(sizeOut, size) ? OK : FAULT;
    },
    environ_get(listAt: number, textAt: number) {
      for (const entry of environment()) {
        if (!vm.memory.setU32(listAt, textAt) || !vm.memory.fits(textAt, entry.length)) return FAULT;
        vm.memory.write(textAt, entry);
        listAt += 4;
        textAt += entry.length;
      }
      return OK;
    },
    args_get: (_list: number, _text: number) => OK,
    args_sizes_get: (countOut: number, sizeOut: number) => (vm.memory.setU32(countOut, 0) && vm.memory.setU32(sizeOut, 0) ? OK : FAULT),
    fd_fdstat_get(fd: number, out: number) {
      if (!standard(fd)) return BADF;
      // All zero but the right to write (the second of three 64-bit words).
      if (vm.memory.fits(out, 24)) [0n, 64n, 0n].forEach((word, i) => vm.memory.setU64((out >>> 0) + i * 8, word));
      return OK;
    },
    fd_fdstat_set_flags: (_fd: number, _flags: number) => NOSYS,
    fd_fdstat_set_rights: (fd: number, _base: bigint, _inheriting: bigint) => (standard(fd) ? OK : BADF),
    fd_read: (_fd: number, _iovs: number, _count: number, _out: number) => NOSYS,
    fd_pread: (_fd: number, _iovs: number, _count: number, _offset: bigint, _out: number) => NOSYS,
    fd_seek(_fd: number, _offset: bigint, _whence: number, _out: number) {
      complain("fd_seek");
      return OK;
    },
    fd_close(_fd: number) {
      complain("fd_close");
      return OK;
    },
    fd_advise: (_fd: number, _offset: bigint, _length: bigint, _advice: number) => OK,
    fd_allocate: (fd: number, _offset: bigint, _length: bigint) => (standard(fd) ? OK : BADF),
    fd_datasync: (fd: number) => (standard(fd) ? OK : BADF),
    fd_sync: (fd: number) => (standard(fd) ? OK : BADF),
    fd_filestat_get: (_fd: number, _out: number) => BADF,
    fd_filestat_set_size: (fd: number, _size: bigint) => (standard(fd) ? OK : BADF),
    fd_filestat_set_times: (fd: number, _a: bigint, _m: bigint, _flags: number) => (standard(fd) ? OK : BADF),
    fd_prestat_get: (_fd: number, _out: number) => BADF,
    fd_prestat_dir_name: (_fd: number, _at: number, _size: number) => NOSYS,
    fd_readdir: (_fd: number, _at: number, _size: number, _cookie: bigint, usedOut: number) => zero(usedOut, NOTDIR),
    fd_renumber: (fd: number, to: number) => (standard(fd) && standard(to) ? NOTSUP : BADF),
    fd_tell: (fd: number, out: number) => (!standard(fd) ? BADF : vm.memory.setU64(out, 0n) ? OK : FAULT),
    path_open: (..._: unknown[]) => NOENT,
    path_create_directory: (_fd: number, _at: number, _size: number) => NOTSUP,
    path_filestat_get: (_fd: number, _flags: number, _at: number, _size: number, _out: number) => NOTSUP,
    path_filestat_set_times: (..._: unknown[]) => NOTSUP,
    path_link: (..._: unknown[]) => NOTSUP,
    path_readlink: (_fd: number, _at: number, _size: number, _buffer: number, _length: number, usedOut: number) => zero(usedOut, NOTSUP),
    path_remove_directory: (_fd: number, _at: number, _size: number) => NOTSUP,
    path_rename: (..._: unknown[]) => NOTSUP,
    path_symlink: (_old: number, _size: number, _fd: number, _new: number) => NOTSUP,
    path_unlink_file: (_fd: number, _at: number, _size: number) => NOTSUP,
    poll_oneoff: (_in: number, _out: number, _count: number, eventsOut: number) => zero(eventsOut, OK),
    // Envoy does not stop the module here, it only complains.
    proc_exit(_code: number) {
      complain("proc_exit");
    },
    sched_yield: () => OK,
    sock_accept: (_fd: number, _flags: number, out: number) => (vm.memory.setU64(out, 0n) ? NOTSUP : FAULT),
    sock_recv(_fd: number, _iovs: number, _count: number, _flags: number, sizeOut: number, flagsOut: number) {
      if (!vm.memory.setU32(sizeOut, 0) || !vm.memory.fits(flagsOut, 2)) return FAULT;
      vm.memory.write(flagsOut, new Uint8Array(2));
      return NOTSUP;
    },
    sock_send: (_fd: number, _iovs: number, _count: number, _flags: number, sizeOut: number) => zero(sizeOut, NOTSUP),
    sock_shutdown: (_fd: number, _how: number) => NOTSUP,
  };
}
