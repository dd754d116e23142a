import {
  biosBoot,
  commandSucceeds,
  dhcp,
  disk,
  esp,
  gpt,
  httpAnswers,
  image,
  keptDisk,
  keptExt4,
  readLines,
  root,
  timer,
  unitIsActive,
} from "imgbuild";

/**
 * A small web server: nginx with a password, its data on a disk of its own that no redeploy touches. `files/` beside this file
 * is copied as it is. The keys are those of `secrets/`, for demonstration only: put your own here.
 */
export default image({
  hostname: "web",
  system: { suite: "trixie" },
  packages: {
    install: [
      "apt",
      "dbus",
      "e2fsprogs",
      "initramfs-tools",
      "linux-image-cloud-amd64",
      "nginx",
      "openssh-server",
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
        match: { serial: "IMGBUILD-SYSTEM" },
        imageSize: "3GiB",
        table: gpt(biosBoot(), esp({ size: "256MiB" }), root()),
      }),
      data: keptDisk({
        match: { serial: "IMGBUILD-DATA" },
        keep: [keptExt4({ uuid: "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90", mount: "/srv" })],
      }),
    },
    swapFile: { size: "256MiB" },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: { ethernet: dhcp("en*"), legacy: dhcp("eth*") },
  users: {
    admin: { comment: "Administrator", sudo: true, keys: readLines("../../secrets/demo-admin-key.pub") },
  },
  secrets: {
    "web-htpasswd": {
      file: "../../secrets/web-htpasswd.age",
      path: "/etc/nginx/web.htpasswd",
      mode: "0640",
      group: "www-data",
    },
  },
  services: {
    "nginx.service": { state: "enabled" },
    ...timer({
      unit: "web-status",
      description: "Publish how the machine is",
      onCalendar: "minutely",
      onBoot: "1s",
      exec: "/usr/local/bin/web-status",
    }),
  },
  hostKeys: "keep",
  health: [
    unitIsActive("ssh.service"),
    unitIsActive("nginx.service"),
    unitIsActive("web-status.timer"),
    httpAnswers("http://web.example.org/health", { contains: "ok" }),
    commandSucceeds(["/usr/bin/grep", "--quiet", "^load:", "/var/www/web/status.txt"], {
      withinSeconds: 120,
    }),
  ],
});
