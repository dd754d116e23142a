import { describe, expect, it } from "vitest";
import { doorFilter } from "../../../../src/system/door/filter.ts";

/** What the kernel does with a filter (Documentation/networking/filter.rst), for the instructions that ours has. */
function verdict(filter: Buffer, call: { arch: number; nr: number; args?: readonly number[] }): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr, 0);
  data.writeUInt32LE(call.arch, 4);
  for (const [index, value] of (call.args ?? []).entries())
    data.writeBigUInt64LE(BigInt(value), 16 + 8 * index);
  let loaded = 0;
  for (let at = 0; at < filter.length / 8; ) {
    const code = filter.readUInt16LE(at * 8);
    const [yes, no] = [filter.readUInt8(at * 8 + 2), filter.readUInt8(at * 8 + 3)];
    const k = filter.readUInt32LE(at * 8 + 4);
    at += 1;
    if (code === 0x20) loaded = data.readUInt32LE(k);
    else if (code === 0x15) at += loaded === k ? yes : no;
    else if (code === 0x35) at += loaded >= k ? yes : no;
    else if (code === 0x45) at += (loaded & k) !== 0 ? yes : no;
    else if (code === 0x06) return k === 0x7fff0000 ? "allow" : `errno ${k & 0xffff}`;
    else throw new Error(`instruction ${code}`);
  }
  throw new Error("the filter has no end");
}

const x64 = { arch: 0xc000003e };
const on = (nr: number, ...args: number[]) => verdict(doorFilter("x64"), { ...x64, nr, args });

describe("the filter of the door (F42)", () => {
  it.each([
    ["mount", 165],
    ["umount2", 166],
    ["pivot_root", 155],
    ["move_mount", 429],
    ["mount_setattr", 442],
    ["setns", 308],
    ["add_key", 248],
    ["keyctl", 250],
    ["bpf", 321],
    ["perf_event_open", 298],
    ["userfaultfd", 323],
    ["kexec_load", 246],
    ["finit_module", 313],
    ["open_by_handle_at", 304],
    ["reboot", 169],
    ["clock_settime", 227],
  ])("refuses %s", (_name, nr) => {
    expect(on(nr)).toBe("errno 1");
  });

  it("lets files, programs and signals be", () => {
    for (const nr of [0, 1, 2, 59, 61, 62, 90, 92, 105, 133, 161, 257, 322])
      expect(on(nr), `${nr}`).toBe("allow");
  });

  it("refuses new namespaces in every way, and lets programs start others and share less with them", () => {
    const [signal, files, vmAndVfork] = [17, 0x400, 0x4100];
    for (const kind of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(on(56, kind | signal)).toBe("errno 1");
      expect(on(272, kind | files)).toBe("errno 1");
    }
    expect(on(272, 0x80)).toBe("errno 1");
    expect([on(56, signal), on(56, vmAndVfork | signal), on(272, files)]).toEqual([
      "allow",
      "allow",
      "allow",
    ]);
    // Its flags are in memory, which no filter reads; the C library then takes clone.
    expect(on(435)).toBe("errno 38");
  });

  it("refuses what types into a terminal, and no other control of one", () => {
    expect([on(16, 0, 0x5412), on(16, 0, 0x541c)]).toEqual(["errno 1", "errno 1"]);
    expect([on(16, 0, 0x5401), on(16, 0x5412, 0x5413)]).toEqual(["allow", "allow"]);
  });

  it("gives sockets of those families alone that a network namespace divides", () => {
    for (const family of [1, 2, 10, 16]) expect(on(41, family), `${family}`).toBe("allow");
    // AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP.
    for (const family of [17, 38, 40, 44, 0]) {
      expect(on(41, family), `${family}`).toBe("errno 97");
      expect(on(53, family), `${family}`).toBe("errno 97");
    }
  });

  it("knows no calls of other architectures, by which the numbers would be others", () => {
    const filter = doorFilter("x64");
    expect(verdict(filter, { arch: 0x40000003, nr: 20 })).toBe("errno 38");
    expect(on(0x40000000 | 1)).toBe("errno 38");
    const arm = (nr: number, ...args: number[]) =>
      verdict(doorFilter("arm64"), { arch: 0xc00000b7, nr, args });
    expect([arm(40), arm(97, 0x10000000), arm(198, 40), arm(435)]).toEqual([
      ...["errno 1", "errno 1", "errno 97", "errno 38"],
    ]);
    // io_setup is 0: a call that arm64 does not have must not come to that.
    expect([arm(0), arm(63), arm(220, 17), arm(198, 1)]).toEqual(["allow", "allow", "allow", "allow"]);
    expect(() => doorFilter("ia32")).toThrow("no seccomp filter for ia32");
  });
});
