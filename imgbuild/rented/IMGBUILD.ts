import { biosBoot, dhcp, disk, esp, gpt, image, portIsOpen, readLines, root, timer } from "imgbuild";
import { cloud, hardened, merge, server } from "imgbuild/profiles";

/** A rented virtual machine that serves web pages: what it shares with others comes from profiles. The key is for demonstration only. */
export default image(
  merge(server(), hardened(), cloud(), {
    hostname: "www.example.org",
    packages: { install: ["nginx"] },
    storage: {
      disks: {
        system: disk({
          match: { serial: "IMGBUILD-RENTED" },
          imageSize: "4GiB",
          table: gpt(biosBoot(), esp(), root()),
        }),
      },
      swapFile: { size: "512MiB" },
    },
    boot: {},
    network: { ethernet: dhcp("e*") },
    hosts: { "192.0.2.7": ["db.example.org", "db"] },
    users: { admin: { sudo: true, lingering: true, keys: readLines("../../secrets/demo-admin-key.pub") } },
    sysusers: { pages: { home: "/var/lib/pages", groups: ["www-data"] } },
    tmpfiles: ["d /var/lib/pages 0750 pages www-data -"],
    firewall: { tcp: [80, 443] },
    sysctl: { "net.core.somaxconn": 4096 },
    modules: { load: ["tcp_bbr"] },
    services: {
      "nginx.service": { state: "enabled" },
      ...timer({
        unit: "pages",
        description: "Write the page of the day",
        ...{ onCalendar: "daily", onBoot: "10s", randomizedDelay: "5min", user: "pages" },
        exec: "/usr/bin/cp /etc/hostname /var/lib/pages/index.html",
      }),
    },
    health: [portIsOpen(22), portIsOpen(80)],
  }),
);
