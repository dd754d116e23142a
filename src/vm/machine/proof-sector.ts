/**
 * A boot sector that does what firmware, GRUB and a kernel's first instructions do, then ends QEMU through its
 * isa-debug-exit device at port 0xf4. Assembled by hand: it must need no tool and no kernel.
 */
export function proofDisk(): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  Buffer.from(instructions.map(([hex]) => hex.replaceAll(" ", "")).join(""), "hex").copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

/** QEMU's exit code when the sector came through: the device ends it with (value << 1) | 1. */
export const proofExitCode = (0x2a << 1) | 1;

const instructions: readonly (readonly [hex: string, why: string])[] = [
  ["fa 31c0 8ed8 8ec0 8ed0 bc007c fc fb", "cli; ds = es = ss = 0; sp = 0x7c00; cld; sti"],
  // The questions of the kernel's EDD probe, for which a stock kernel was seen to hang.
  ["b441 bbaa55 b280 cd13 0f82ff00 81fb55aa 0f85f700", "int 13h, ah=41h: has disk 80h the extensions?"],
  ["be0006 c7041e00 b448 b280 cd13 0f82e600", "int 13h, ah=48h: its parameters, to 0x600"],
  ["06 31ff b408 b280 cd13 07 0f82d800", "int 13h, ah=08h: its old geometry"],
  ["b280 b80102 bb0080 b90100 30f6 52 cd13 5a fec2 80fa90 75ea", "int 13h, ah=02h: sector 1 of 80h to 8fh"],
  ["6631db 66b820e80000 66ba50414d53 66b914000000 bf0006 cd15 7205 6685db 75e2", "int 15h: memory map"],
  // 16 million rounds: 0.1 s or less, but half a minute where each real-mode instruction is emulated by the kernel.
  ["66b900000001 6649 75fc", "ecx = 1000000h; dec ecx; jnz"],
  ["b90300 a06c04 f4 3a066c04 74f9 e2f4", "three timer interrupts: hlt until the BIOS tick moves"],
  ["b80124 cd15 fa", "int 15h, ax=2401h: open A20; cli"],
  ["66bf00100000 0f22df 6631c0 b9000c 66f3ab", "page tables at 0x1000, cleared"],
  ["66c706001003200000 66c706002003300000 66c706003083000000", "one page of 2 MiB, mapped to itself"],
  ["660f0116407d 0f20c0 0c01 0f22c0 66eadd7c00000800", "load the GDT; protected mode; jump to 08h:7cddh"],
  ["66b81000 8ed8 8ec0 8ed0", "32 bit: data segments"],
  ["0f20e0 0c20 0f22e0 b9800000c0 0f32 80cc01 0f30", "CR4.PAE, EFER.LME"],
  ["0f20c0 0d00000080 0f22c0 ea0d7d00001800", "paging on; jump to 18h:7d0dh"],
  ["31c0 0fa2 0f31", "64 bit: cpuid; rdtsc"],
  ["b02a e6f4 f4 ebfd", "out 0xf4, 2ah; hlt for ever"],
  ["b001 e6f4 ebfa", "where a BIOS call failed: out 0xf4, 1"],
  ["0000000000000000 ffff0000009bcf00", "GDT at 7d20h: null, 32-bit code"],
  ["ffff00000093cf00 ffff0000009baf00", "data, 64-bit code"],
  ["1f00 207d0000", "its size and address, at 7d40h"],
];
