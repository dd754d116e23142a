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
  unit,
  unitIsActive,
} from "imgbuild";

/**
 * The database of `imgbuild/notes`: PostgreSQL, which only that machine reaches, over a network of their own. The firewall is
 * `files/etc/nftables.conf`, and `IMGBUILD.test.ts` beside this file tries it.
 */
export default image({
  hostname: "notes-db",
  packages: {
    install: [
      "apt",
      "dbus",
      "e2fsprogs",
      "initramfs-tools",
      "linux-image-cloud-amd64",
      "nftables",
      "openssh-server",
      "postgresql",
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
        match: { serial: "NOTES-DB-SYSTEM" },
        imageSize: "3GiB",
        table: gpt(biosBoot(), esp({ size: "256MiB" }), root()),
      }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: {
    outside: dhcp("enp0s3"),
    private: staticAddress({ match: { mac: "52:54:00:4e:00:02" }, addresses: ["192.0.2.2/24"] }),
  },
  users: { admin: { sudo: true, keys: readLines("../../secrets/demo-admin-key.pub") } },
  secrets: {
    "notes-password": {
      file: "../../secrets/notes-password.age",
      path: "/etc/notes-password",
      mode: "0640",
      group: "postgres",
    },
  },
  files: {
    "/etc/postgresql/17/main/conf.d/private.conf": { content: "listen_addresses = '*'\n" },
    "/etc/postgresql/17/main/pg_hba.conf": {
      content: "local all postgres peer\nhost notes notes 192.0.2.1/32 scram-sha-256\n",
      mode: "0640",
      owner: "postgres",
      group: "postgres",
    },
  },
  services: {
    "nftables.service": { state: "enabled" },
    "notes-schema.service": unit(`[Unit]
Description=Role, database and table of the notes
Wants=postgresql@17-main.service
After=postgresql@17-main.service

[Service]
Type=oneshot
RemainAfterExit=yes
User=postgres
ExecStart=/usr/bin/psql --no-psqlrc --set=ON_ERROR_STOP=1 --file=/usr/local/share/notes/schema.sql

[Install]
WantedBy=multi-user.target
`),
  },
  health: [unitIsActive("postgresql@17-main.service"), portIsOpen(5432)],
});
