import { biosBoot, dhcp, disk, esp, gpt, image, portIsOpen, readLines, root, staticAddress } from "imgbuild";

/**
 * A tang server, which opens the root of `imgbuild/layouts/luks-tang` and does nothing else. It makes its keys at the first
 * request, in /var/lib/tang: keep that directory when you deploy it again (docs/STORAGE.md, Keep), or bind every machine again.
 */
export default image({
  hostname: "tang",
  packages: {
    install: [
      "apt",
      "curl",
      "dbus",
      "e2fsprogs",
      "initramfs-tools",
      "linux-image-cloud-amd64",
      "openssh-server",
      "sudo",
      "systemd-sysv",
      "tang",
      "udev",
      "zstd",
    ],
  },
  storage: {
    disks: {
      system: disk({
        match: { serial: "TANG-SYSTEM" },
        imageSize: "2GiB",
        table: gpt(biosBoot(), esp({ size: "192MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: {
    outside: dhcp("enp0s3", { dns: ["192.0.2.53"] }),
    private: staticAddress({ match: { mac: "52:54:00:4e:00:10" }, addresses: ["192.0.2.10/24"] }),
  },
  users: { admin: { sudo: true, keys: readLines("../../secrets/demo-admin-key.pub") } },
  services: {
    // Port 80, where Debian has it, is left to a web server.
    "tangd.socket": { state: "enabled", dropIn: "[Socket]\nListenStream=\nListenStream=7500\n" },
  },
  health: [portIsOpen(7500)],
});
