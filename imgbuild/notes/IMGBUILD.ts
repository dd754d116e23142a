import {
  biosBoot,
  dhcp,
  disk,
  esp,
  gpt,
  image,
  portIsOpen,
  readLines,
  root,
  staticAddress,
  timer,
} from "imgbuild";

/**
 * A web server that shows the notes in the database of `imgbuild/notes-db`. `IMGBUILD.test.ts` beside this file starts both
 * machines and the network between them.
 */
export default image({
  hostname: "notes",
  packages: {
    install: [
      "apt",
      "dbus",
      "e2fsprogs",
      "initramfs-tools",
      "iputils-ping",
      "linux-image-cloud-amd64",
      "nginx",
      "openssh-server",
      "postgresql-client",
      "sudo",
      "systemd-resolved",
      "systemd-sysv",
      "udev",
      "zstd",
    ],
  },
  storage: {
    disks: {
      system: disk({
        match: { serial: "NOTES-SYSTEM" },
        imageSize: "3GiB",
        table: gpt(biosBoot(), esp({ size: "256MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: {
    outside: dhcp("enp0s3"),
    private: staticAddress({ match: { mac: "52:54:00:4e:00:01" }, addresses: ["192.0.2.1/24"] }),
  },
  users: { admin: { sudo: true, keys: readLines("../../secrets/demo-admin-key.pub") } },
  secrets: {
    "notes-password": {
      file: "../../secrets/notes-password.age",
      path: "/etc/notes-password",
      mode: "0640",
      group: "www-data",
    },
  },
  services: timer({
    unit: "notes-page",
    description: "Write the notes' page",
    onCalendar: "minutely",
    exec: "/usr/local/bin/notes-page",
  }),
  health: [portIsOpen(80)],
});
