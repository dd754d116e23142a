/** What the probe prints on a small Debian 12 server behind UEFI, captured and shortened; a section may be replaced. */
export function probeOutput(mark: string, change: Readonly<Record<string, string>> = {}): string {
  const sections: Record<string, string> = { ...captured, ...change };
  return Object.entries(sections)
    .map(([name, text]) => `\n${mark} ${name}\n${text}\n`)
    .join("");
}

const address = [
  {
    ifname: "lo",
    link_type: "loopback",
    mtu: 65536,
    flags: ["LOOPBACK", "UP", "LOWER_UP"],
    addr_info: [{ family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host" }],
  },
  {
    ifindex: 2,
    ifname: "ens3",
    flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    mtu: 1500,
    operstate: "UP",
    link_type: "ether",
    address: "52:54:00:12:34:56",
    addr_info: [
      { family: "inet", local: "192.0.2.10", prefixlen: 24, scope: "global", label: "ens3" },
      {
        family: "inet6",
        local: "2001:db8::10",
        prefixlen: 64,
        scope: "global",
        dynamic: true,
        mngtmpaddr: true,
      },
      { family: "inet6", local: "fe80::5054:ff:fe12:3456", prefixlen: 64, scope: "link" },
    ],
  },
];
const routes4 = [
  { dst: "default", gateway: "192.0.2.1", dev: "ens3", flags: ["onlink"] },
  { dst: "192.0.2.0/24", dev: "ens3", protocol: "kernel", scope: "link", prefsrc: "192.0.2.10", flags: [] },
];
const routes6 = [
  { dst: "2001:db8::/64", dev: "ens3", protocol: "kernel", metric: 256, flags: [], pref: "medium" },
  { dst: "default", gateway: "fe80::1", dev: "ens3", protocol: "ra", metric: 1024, flags: [] },
];

const captured = {
  "boot-id": "11111111-2222-4333-8444-555555555555",
  "machine-id": "0123456789abcdef0123456789abcdef",
  "dmi-uuid": "4C4C4544-0042-3510-8051-B6C04F4E3233",
  hostname: "old",
  "os-release":
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nHOME_URL="https://www.debian.org/"',
  meminfo: "MemTotal:        4014080 kB\nMemFree:         2000000 kB\nMemAvailable:    3604480 kB",
  cmdline: "BOOT_IMAGE=/boot/vmlinuz-6.1.0-28-cloud-amd64 root=UUID=aa ro console=tty0 console=ttyS0,115200",
  consoles: "tty0 ttyS0",
  lockdown: "[none] integrity confidentiality",
  "kexec-disabled": "0",
  "debian-key": "",
  "loader-info": "",
  "boot-places": "",
  mountinfo:
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n30 22 254:15 / /boot/efi rw - vfat /dev/vda15 rw\n31 22 254:16 / /mnt/a\\040b rw - ext4 /dev/vdb rw\n40 22 0:25 / /run rw - tmpfs tmpfs rw",
  swaps:
    "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda14                              partition\t3072\t\t0\t\t-2",
  uname: "x86_64\n6.1.0-28-cloud-amd64",
  clock: "1750000000",
  "hardware-clock": String(Math.floor(Date.now() / 1000)),
  firmware: "uefi",
  "secure-boot": "   6   0   0   0   0",
  container: "none",
  xen: "",
  disks: [
    "disk vda",
    "dev 254:0",
    "sectors 8388608",
    "sector-size 512",
    "removable 0",
    "read-only 0",
    "serial SYS",
    "udev-serial SYS",
    "wwn ",
    "model ",
    "part vda1",
    "part-dev 254:1",
    "part-start 262144",
    "part-sectors 8124416",
    "part vda14",
    "part-dev 254:14",
    "part-start 2048",
    "part-sectors 6144",
    "part vda15",
    "part-dev 254:15",
    "part-start 8192",
    "part-sectors 253952",
    "disk vdb",
    "dev 254:16",
    "sectors 1048576",
    "sector-size 4096",
    "removable 1",
    "read-only 1",
    "serial DATA",
    "udev-serial ",
    "wwn eui.0025388b710116a1",
    "model Fast  Disk   ",
    "holder dm-0",
  ].join("\n"),
  multipath: "",
  blkid:
    "DEVNAME=/dev/vda1\nUUID=c1a7e0d4-5b62-4f0e-8f1d-2f6a9b3c7e10\nBLOCK_SIZE=4096\nTYPE=ext4\nPARTUUID=x\n\nDEVNAME=/dev/vda15\nLABEL=A\\ B\nUUID=1A2B-3C4D\nTYPE=vfat\n\nDEVNAME=/dev/vda14\nPARTUUID=y\n\nDEVNAME=/dev/vdb\nUUID=7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90\nTYPE=ext4",
  "ip-address": JSON.stringify(address),
  "ip-route4": JSON.stringify(routes4),
  "ip-route6": JSON.stringify(routes6),
  "resolv-conf": "# by systemd-resolved\nnameserver 127.0.0.53\noptions edns0",
  "resolv-conf-uplink": "nameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver 192.0.2.53",
  "apt-sources": "",
  "apt-sources-deb822": "Types: deb\nURIs: http://deb.example.org/debian\nSuites: bookworm\nComponents: main",
  "host-keys": "ssh-ed25519 AAAAold root@old\nssh-rsa AAAArsa root@old",
  watchdogs: "iTCO_wdt\ni6300ESB timer",
  "cache-free": "/dev/vda1        3990192 1200000 2560000  32% /",
  end: "",
};
