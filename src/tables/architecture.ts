/** What differs between processors, by Debian's names for them; no other file of src knows any of it (test/unit/tidy/tables.test.ts). */
export const architectures = {
  amd64: {
    /** As `uname -m` prints it. */
    kernel: "x86_64",
    /** In an image's platform (OCI Image Format Specification). */
    oci: "amd64",
    /** Flags of /proc/cpuinfo without which Debian does not run: x86-64-v1. */
    cpuFlags: ["lm", "cx8", "cmov", "fpu", "fxsr", "mmx", "sse", "sse2", "syscall"],
    /** Where a tree has its libraries, and the program that loads them; relative. */
    libraries: "usr/lib/x86_64-linux-gnu",
    linker: "usr/lib64/ld-linux-x86-64.so.2",
    /** The field `Machine` of a program (PE format), what the names of loaders end in, and what firmware starts unasked. */
    efi: { machine: 0x8664, suffix: "x64", removable: "BOOTX64.EFI" },
    /** GRUB's platforms. */
    grub: { bios: "i386-pc", efi: "x86_64-efi" },
    /** Type GUIDs of partitions, where they differ (UAPI Discoverable Partitions Specification). */
    partitionTypes: {
      "linux-root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
      "linux-usr": "8484680C-9521-48C6-9C11-B0720656F69E",
      "linux-root-verity": "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
    },
    /** Debian packages that are named after it. */
    packages: {
      kernel: "linux-image-amd64",
      cloudKernel: "linux-image-cloud-amd64",
      grubBios: "grub-pc-bin",
      grubEfi: "grub-efi-amd64-bin",
      grubEfiSigned: "grub-efi-amd64-signed",
      systemdBootSigned: "systemd-boot-efi-amd64-signed",
      qemu: "qemu-system-x86",
      firmware: "ovmf",
    },
    qemu: {
      program: "qemu-system-x86_64",
      machine: "q35",
      /** Added to the machine for Secure Boot: the firmware alone writes the variables, in system management mode. */
      secure: ",smm=on",
      bios: "/usr/share/seabios/bios-256k.bin",
      /** Where distributions put UEFI: code, and a store of variables that is empty or, for Secure Boot, holds Microsoft's keys. */
      uefi: {
        uefi: [
          ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
          ["/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"],
          ["/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"],
        ],
        "secure-boot": [
          ["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"],
          ["/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"],
        ],
        "setup-mode": [
          ["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
          ["/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"],
          ["/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"],
        ],
      },
    },
  },
} as const;

export type ArchitectureName = keyof typeof architectures;
export const architectureNames = Object.keys(architectures) as ArchitectureName[];

/**
 * The architecture where no definition is at hand to name it, and the name: right as long as there is one. A second row above makes
 * this a type error in every place that then has to be given its architecture.
 */
export const onlyName: [ArchitectureName] extends ["amd64"] ? "amd64" : never = "amd64";
export const onlyArchitecture = architectures[onlyName];
