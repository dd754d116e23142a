/** What differs between processors; no other file of src knows any of it (test/unit/tidy/tables.test.ts). */
interface Architecture {
  /** The kernel's name for it, as `uname -m` prints. */
  readonly kernel: string;
  /** The name in an image's platform (OCI Image Format Specification). */
  readonly oci: string;
  /** Flags of /proc/cpuinfo without which Debian does not run. */
  readonly cpuFlags: readonly string[];
  /** Where libraries are in a tree, and the program that loads them; relative. */
  readonly libraries: string;
  readonly linker: string;
  readonly efi: {
    /** The field `Machine` of a program (PE format). */
    readonly machine: number;
    /** What the names of Debian's loaders end in: "grubx64". */
    readonly suffix: string;
    /** What firmware starts unasked, below EFI/BOOT. */
    readonly removable: string;
  };
  /** GRUB's names for its platforms. */
  readonly grub: { readonly bios: string; readonly efi: string };
  /** Type GUIDs of partitions, where they differ (UAPI Discoverable Partitions Specification). */
  readonly partitionTypes: Readonly<Record<"linux-root" | "linux-usr" | "linux-root-verity", string>>;
  /** Debian packages, those that are named after the architecture. */
  readonly packages: {
    readonly kernel: string;
    readonly cloudKernel: string;
    readonly grubBios: string;
    readonly grubEfi: string;
    readonly grubEfiSigned: string;
    readonly systemdBootSigned: string;
    readonly qemu: string;
    readonly firmware: string;
  };
  readonly qemu: {
    readonly program: string;
    readonly machine: string;
    /** Added to the machine's name for Secure Boot. */
    readonly secure: string;
    readonly bios: string;
    /**
     * Where distributions put UEFI: code, and a variable store that is empty or, for Secure Boot, holds Microsoft's keys. In setup
     * mode it is the firmware of Secure Boot with an empty store.
     */
    readonly uefi: Readonly<
      Record<"uefi" | "secure-boot" | "setup-mode", readonly (readonly [code: string, store: string])[]>
    >;
  };
}

/** By Debian's names. */
export const architectures = {
  amd64: {
    kernel: "x86_64",
    oci: "amd64",
    // x86-64-v1
    cpuFlags: ["lm", "cx8", "cmov", "fpu", "fxsr", "mmx", "sse", "sse2", "syscall"],
    libraries: "usr/lib/x86_64-linux-gnu",
    linker: "usr/lib64/ld-linux-x86-64.so.2",
    efi: { machine: 0x8664, suffix: "x64", removable: "BOOTX64.EFI" },
    grub: { bios: "i386-pc", efi: "x86_64-efi" },
    partitionTypes: {
      "linux-root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
      "linux-usr": "8484680C-9521-48C6-9C11-B0720656F69E",
      "linux-root-verity": "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
    },
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
      // The variables are written by the firmware alone, in system management mode.
      secure: ",smm=on",
      bios: "/usr/share/seabios/bios-256k.bin",
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
} as const satisfies Record<string, Architecture>;

export type ArchitectureName = keyof typeof architectures;
export const architectureNames = Object.keys(architectures) as ArchitectureName[];

/**
 * The architecture where no definition is at hand to name it, and the name: right as long as there is one. A second row above makes
 * this a type error in every place that then has to be given its architecture.
 */
export const onlyName: [ArchitectureName] extends ["amd64"] ? "amd64" : never = "amd64";
export const onlyArchitecture: Architecture = architectures[onlyName];
