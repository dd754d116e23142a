import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import { showArgv } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { installArgv } from "../../tables/distribution.ts";
import { Fail } from "../../util/fail.ts";

/** What a use of imgbuild needs on the operator's machine, with the Debian package that brings it. */
interface Need {
  /** A program looked up in PATH, or an absolute file. */
  readonly what: string;
  /** Directories of which one has it; default PATH. */
  readonly among?: readonly string[];
  readonly package: string;
  readonly use: "build" | "user" | "vm" | "tests";
}

const { grub, libraries, packages, qemu } = onlyArchitecture;
/** Of Debian 12, and of 13. */
const networkRoms = ["/usr/lib/ipxe/qemu", "/usr/share/qemu"];
/** Of Debian 12, and of 13. */
export const postgresPrograms = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin"];
export const needs: readonly Need[] = [
  { what: "unshare", package: "util-linux", use: "build" },
  { what: "bwrap", package: "bubblewrap", use: "build" },
  { what: "tar", package: "tar", use: "build" },
  { what: "xz", package: "xz-utils", use: "build" },
  { what: "zstd", package: "zstd", use: "build" },
  { what: "newuidmap", package: "uidmap", use: "user" },
  { what: qemu.program, package: packages.qemu, use: "vm" },
  { what: "qemu-img", package: "qemu-utils", use: "vm" },
  { what: qemu.uefi.uefi[0]![0], package: packages.firmware, use: "vm" },
  { what: qemu.bios, package: "seabios", use: "vm" },
  { what: "efi-virtio.rom", among: networkRoms, package: "ipxe-qemu", use: "vm" },
  { what: "flock", package: "util-linux", use: "vm" },
  { what: "ssh", package: "openssh-client", use: "vm" },
  { what: "swtpm", package: "swtpm", use: "tests" },
  { what: "/usr/libexec/tangd", package: "tang", use: "tests" },
  { what: "clevis", package: "clevis", use: "tests" },
  { what: "jose", package: "jose", use: "tests" },
  { what: "mmdebstrap", package: "mmdebstrap", use: "tests" },
  { what: "strace", package: "strace", use: "tests" },
  { what: "mkdocs", package: "mkdocs", use: "tests" },
  { what: "groff", package: "groff-base", use: "tests" },
  { what: "zsh", package: "zsh", use: "tests" },
  { what: "fish", package: "fish", use: "tests" },
  { what: "age", package: "age", use: "tests" },
  { what: "rsvg-convert", package: "librsvg2-bin", use: "tests" },
  { what: "zbarimg", package: "zbar-tools", use: "tests" },
  { what: "visudo", package: "sudo", use: "tests" },
  { what: "/lib/systemd/systemd-networkd", package: "systemd", use: "tests" },
  { what: "cryptsetup", package: "cryptsetup-bin", use: "tests" },
  { what: `/usr/lib/grub/${grub.bios}/boot.img`, package: packages.grubBios, use: "tests" },
  { what: `/usr/lib/grub/${grub.efi}/moddep.lst`, package: packages.grubEfi, use: "tests" },
  { what: "grub-mkimage", package: "grub-common", use: "tests" },
  { what: "mke2fs", package: "e2fsprogs", use: "tests" },
  { what: "sfdisk", package: "fdisk", use: "tests" },
  { what: "mkfs.vfat", package: "dosfstools", use: "tests" },
  { what: "mcopy", package: "mtools", use: "tests" },
  { what: "cpio", package: "cpio", use: "tests" },
  { what: "unsquashfs", package: "squashfs-tools", use: "tests" },
  { what: `/${libraries}/faketime/libfaketime.so.1`, package: "libfaketime", use: "tests" },
  { what: "umoci", package: "umoci", use: "tests" },
  { what: "sbverify", package: "sbsigntool", use: "tests" },
  { what: "busybox", package: "busybox-static", use: "tests" },
  { what: "dash", package: "dash", use: "tests" },
  { what: "curl", package: "curl", use: "tests" },
  { what: "wget", package: "wget", use: "tests" },
  { what: "python3", package: "python3", use: "tests" },
  { what: "ip", package: "iproute2", use: "tests" },
  { what: "openssl", package: "openssl", use: "tests" },
  { what: "docker-registry", package: "docker-registry", use: "tests" },
  { what: "restic", package: "restic", use: "tests" },
  { what: "borg", package: "borgbackup", use: "tests" },
  { what: "rsync", package: "rsync", use: "tests" },
  { what: "initdb", among: postgresPrograms, package: "postgresql", use: "tests" },
  { what: "setfattr", package: "attr", use: "tests" },
  { what: "setfacl", package: "acl", use: "tests" },
  { what: "/usr/sbin/sshd", package: "openssh-server", use: "tests" },
];

const searchPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Those of `uses` that this machine lacks. */
export async function missing(
  uses: readonly Need["use"][],
  path: readonly string[] = searchPath,
): Promise<Need[]> {
  const found = await Promise.all(
    needs
      .filter((need) => uses.includes(need.use))
      .map(async (need) => ({ need, there: await exists(need, path) })),
  );
  return found.filter(({ there }) => !there).map(({ need }) => need);
}

/** Refuses at once what would fail for want of a program after minutes. `also`: needs of other uses, by program or file. */
export async function requireTools(use: Need["use"], also: readonly string[] = []): Promise<void> {
  const others = (await missing(["vm", "tests"])).filter((need) => also.includes(need.what));
  const lacking = [...(await missing([use])), ...others];
  if (lacking.length === 0) return;
  throw new Fail(lacking.map((need) => `${need.what} is missing (package ${need.package})`).join("\n"), {
    hint: `${process.getuid?.() === 0 ? "" : "sudo "}${showArgv(remedy(lacking))}`,
  });
}

/** The command that brings them, for a person to run. */
export function remedy(lacking: readonly Need[]): readonly string[] {
  const packages = [...new Set(lacking.map((need) => need.package))].sort();
  return installArgv("--no-install-recommends", ...packages);
}

async function exists({ what, among }: Need, path: readonly string[]): Promise<boolean> {
  const isFile = what.startsWith("/") || among !== undefined;
  const candidates = what.startsWith("/")
    ? [what]
    : (among ?? path).map((directory) => join(directory, what));
  for (const candidate of candidates) {
    try {
      await access(candidate, isFile ? constants.R_OK : constants.X_OK);
      if ((await stat(candidate)).isFile()) return true;
    } catch {
      // Try the next directory.
    }
  }
  return false;
}
