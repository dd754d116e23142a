import { unitIsActive } from "../dsl/health.ts";
import { onlyArchitecture } from "../tables/architecture.ts";
import type { Part } from "./merge.ts";

/** Of the journal on disk; Debian's default is a tenth of the filesystem, 4 GiB at most. */
const journal = `[Journal]
SystemMaxUse=500M
MaxRetentionSec=3month
`;

/**
 * What every server has: what it needs to start and to be reached by SSH, name resolution and the right time, security updates
 * by themselves, a journal of bounded size, and TRIM for its disks. `kernel` is a package: left out it is Debian's for all
 * hardware.
 */
export function server({ kernel = onlyArchitecture.packages.kernel }: { kernel?: string } = {}): Part {
  return {
    packages: {
      install: [
        ...["apt", "ca-certificates", "dbus", "e2fsprogs", "initramfs-tools", kernel, "openssh-server"],
        // Units of users, and sessions that end with their programs.
        "libpam-systemd",
        ...["sudo", "systemd-resolved", "systemd-sysv", "systemd-timesyncd", "udev"],
        // Installs security updates each day; Debian's own settings enable it.
        "unattended-upgrades",
        // Packs the initramfs in a tenth of gzip's time.
        "zstd",
      ],
    },
    files: { "/etc/systemd/journald.conf.d/50-server.conf": { content: journal } },
    services: { "fstrim.timer": { state: "enabled" }, "systemd-timesyncd.service": { state: "enabled" } },
    health: [unitIsActive("ssh.service"), unitIsActive("systemd-timesyncd.service")],
  };
}
