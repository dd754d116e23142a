import type { Pin } from "../../src/debian/resolve/policy.ts";

/** Sets of packages that are asked for over the same indices. A leading `+` asks for Recommends as well. */
export interface Sets {
  readonly title: string;
  /** The first is the release that runs; the others are beside it. */
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Gives the release's own suites priority 990, as APT::Default-Release. */
  readonly target?: boolean;
  readonly pins?: readonly Pin[];
  readonly sets: readonly string[];
  /** Sets that cannot be satisfied. */
  readonly refused: readonly string[];
}

const main = ["main"];

export const groups: readonly Sets[] = [
  {
    title: "trixie",
    suites: ["trixie"],
    components: main,
    sets: [
      ...["webext-allow-html-temp"],
      // Servers.
      ...[
        "nginx",
        "+ nginx",
        "+ apache2",
        "apache2 nginx lighttpd",
        "openssh-server",
        "+ openssh-server sudo",
      ],
      ...[
        "postgresql",
        "+ postgresql",
        "+ postgis",
        "mariadb-server",
        "+ mariadb-server",
        "default-mysql-server",
      ],
      ...[
        "+ phpmyadmin",
        "redis",
        "memcached",
        "rabbitmq-server",
        "+ samba",
        "samba-ad-dc",
        "bind9",
        "+ bind9",
      ],
      ...["dnsmasq network-manager", "unbound", "+ dovecot-imapd postfix", "+ mailman3-full", "prometheus"],
      ...[
        "zabbix-server-pgsql",
        "+ icinga2",
        "haproxy",
        "varnish",
        "keepalived",
        "+ openvpn",
        "+ strongswan",
      ],
      ...[
        "+ certbot",
        "squid",
        "+ freeradius",
        "+ slapd",
        "+ sssd",
        "+ rspamd",
        "+ clamav",
        "+ cups",
        "tomcat10",
      ],
      // A system's own parts.
      ...["linux-image-amd64", "+ linux-image-amd64", "linux-image-cloud-amd64 initramfs-tools", "udev dbus"],
      ...["linux-image-amd64 dracut", "linux-headers-amd64", "grub-efi-amd64", "grub-pc", "systemd-boot"],
      ...["cryptsetup-initramfs lvm2 mdadm", "+ cryptsetup lvm2 mdadm btrfs-progs xfsprogs", "systemd-sysv"],
      ...[
        "sysvinit-core",
        "openrc",
        "elogind sysvinit-core dbus-x11",
        "+ cloud-init",
        "+ unattended-upgrades",
      ],
      ...["ufw", "firewalld", "+ apparmor apparmor-utils", "+ network-manager", "ifupdown isc-dhcp-client"],
      // Desktops.
      ...[
        "gnome",
        "+ gnome-core",
        "kde-standard",
        "+ kde-plasma-desktop",
        "xfce4 lightdm",
        "+ lxde",
        "+ cinnamon",
      ],
      ...[
        "task-xfce-desktop",
        "+ task-gnome-desktop",
        "+ gdm3 sddm lightdm",
        "sway",
        "+ i3",
        "+ xorg",
        "+ tlp gnome-core",
      ],
      ...[
        "+ libreoffice",
        "+ gimp inkscape blender",
        "firefox-esr",
        "+ chromium thunderbird",
        "+ vlc mpv",
        "ffmpeg",
      ],
      // Compilers and languages.
      ...[
        "build-essential",
        "+ build-essential",
        "gcc g++ clang",
        "clang-19 lld-19 llvm-19",
        "rustc cargo",
        "golang",
      ],
      ...[
        "ghc cabal-install",
        "default-jdk",
        "+ default-jdk maven",
        "openjdk-21-jre-headless",
        "python3-django",
      ],
      ...[
        "python3-numpy python3-scipy python3-matplotlib",
        "+ jupyter",
        "+ python3-pip",
        "perl",
        "+ libcatalyst-perl",
      ],
      ...[
        "+ libdancer2-perl libdbd-pg-perl",
        "nodejs npm",
        "+ npm",
        "ruby-rails",
        "+ redmine",
        "r-base",
        "+ octave",
      ],
      ...[
        "+ php",
        "php8.4-fpm libapache2-mod-php",
        "+ erlang elixir",
        "ocaml opam",
        "+ mono-complete",
        "fpc",
      ],
      ...[
        "texlive",
        "+ debhelper devscripts",
        "+ sbuild",
        "gcc-aarch64-linux-gnu",
        "libmariadb-dev libpq-dev",
      ],
      // Virtual packages with one provider, alternatives, Multi-Arch, and what is refused by name.
      ...[
        "default-mta",
        "default-dbus-session-bus",
        "exim4",
        "+ exim4 exim4-daemon-light-",
        "nginx nginx-common",
      ],
      ...[
        "gawk",
        "original-awk",
        "mawk- gawk",
        "mawk- gawk- original-awk-",
        "pulseaudio",
        "pipewire-audio",
        "pulseaudio pipewire-pulse-",
      ],
      ...["openssh-server dropbear", "netcat-openbsd netcat-traditional", "vim-nox vim-gtk3", "libelogind0"],
      ...["chrony", "ntpsec", "openresolv", "resolvconf", "dracut initramfs-tools-"],
      // Several hands.
      ...[
        "docker.io",
        "+ podman buildah",
        "lxc",
        "incus",
        "qemu-system-x86",
        "+ libvirt-daemon-system virt-manager",
      ],
      ...[
        "git",
        "+ git subversion mercurial",
        "gdb valgrind strace",
        "ansible",
        "+ puppet-agent",
        "+ mmdebstrap",
      ],
    ],
    refused: [
      ...[
        "exim4 postfix",
        "sysvinit-core systemd-sysv",
        "libcurl4-openssl-dev libcurl4-gnutls-dev",
        "cron systemd-cron",
      ],
      ...[
        "tlp power-profiles-daemon",
        "tlp tuned",
        "pulseaudio pipewire-alsa",
        "+ pipewire-audio pulseaudio",
      ],
      ...[
        "rsyslog syslog-ng",
        "ifupdown ifupdown2",
        "resolvconf systemd-resolved",
        "ntpsec chrony",
        "grub-pc grub-efi-amd64",
      ],
      ...[
        "emacs-nox emacs-gtk",
        "heimdal-dev libkrb5-dev",
        "busybox busybox-static",
        "+ heimdal-kdc krb5-kdc",
      ],
      ...[
        "systemd-standalone-sysusers systemd",
        "mail-transport-agent",
        "httpd",
        "no-such-package",
        "nginx=1.0-1",
      ],
      ...["libc6- nginx", "nginx/bookworm"],
    ],
  },
  {
    title: "trixie with backports and all components",
    suites: ["trixie", "trixie-backports"],
    components: ["main", "contrib", "non-free", "non-free-firmware"],
    sets: [
      ...[
        "nginx",
        "+ nginx",
        "+ gnome-core",
        "linux-image-amd64",
        "intel-microcode amd64-microcode",
        "rar unrar",
      ],
      ...[
        "linux-image-amd64/trixie-backports",
        "+ linux-image-amd64/trixie-backports",
        "yt-dlp/trixie-backports",
      ],
      ...[
        "linux-image-amd64/trixie-backports linux-headers-amd64/stable-backports",
        "btrfs-progs/trixie-backports",
      ],
      ...[
        "firmware-linux/trixie-backports",
        "+ firmware-linux firmware-iwlwifi",
        "+ nvidia-driver",
        "zfsutils-linux",
      ],
      ...[
        "+ zfs-dkms zfsutils-linux",
        "libreoffice-writer/trixie-backports",
        "+ libreoffice/trixie-backports",
      ],
      ...[
        "qemu-system-x86/trixie-backports",
        "+ cockpit/trixie-backports",
        "zfsutils-linux/trixie-backports",
      ],
    ],
    refused: ["systemd/trixie-backports", "+ steam-installer"],
  },
  {
    title: "bookworm",
    suites: ["bookworm"],
    components: main,
    sets: [
      ...[
        "nginx",
        "+ nginx",
        "postgresql",
        "+ postgresql",
        "openssh-server",
        "+ apache2",
        "default-jre-headless",
      ],
      ...[
        "gnome",
        "+ gnome-core",
        "+ gdm3 sddm lightdm",
        "+ kde-plasma-desktop",
        "xfce4",
        "linux-image-amd64",
      ],
      ...[
        "+ linux-image-amd64",
        "build-essential",
        "+ texlive",
        "python3-django",
        "+ redmine",
        "+ php",
        "npm",
      ],
      ...[
        "docker.io",
        "+ podman",
        "sysvinit-core",
        "systemd-boot",
        "exim4",
        "default-mta",
        "cryptsetup-initramfs",
      ],
    ],
    refused: ["exim4 postfix", "ntp chrony", "cron systemd-cron", "pulseaudio pipewire-alsa"],
  },
  {
    title: "trixie with forky beside it",
    suites: ["trixie", "forky"],
    components: main,
    target: true,
    sets: [
      "nginx",
      "+ postgresql",
      "gnome",
      "linux-image-amd64",
      "git/forky",
      "+ firefox-esr/testing",
      "bash/forky",
    ],
    refused: ["exim4/forky postfix", "nginx/sid"],
  },
  {
    title: "forky",
    suites: ["forky"],
    components: main,
    sets: [
      "nginx",
      "+ apache2",
      "postgresql",
      "+ gnome-core",
      "build-essential",
      "default-jdk",
      "systemd-boot",
    ],
    refused: ["exim4 postfix"],
  },
  {
    title: "trixie with pins",
    suites: ["trixie", "trixie-backports"],
    components: main,
    pins: [
      { packages: ["linux-image-*", "linux-base"], suite: "trixie-backports", priority: 500 },
      { packages: ["nginx*"], suite: "trixie", priority: 1001 },
      { packages: ["systemd-timesyncd"], version: "*", priority: -1 },
      { packages: ["*"], suite: "trixie-updates", priority: 400 },
    ],
    sets: [
      "linux-image-amd64",
      "+ linux-image-amd64",
      "nginx",
      "+ nginx",
      "systemd-sysv",
      "+ systemd",
      "openssh-server",
    ],
    refused: ["systemd-timesyncd"],
  },
];

const nothingInstalled =
  "apt 2.6 switches the suite of a dependency only while each version on the way could be installed on its own, which next " +
  "to nothing can in an empty root; it accepts the same set when each version is named";

/** Where the answer is not apt's, by group and set, with the reason. One that does not differ any more fails the test. */
export const differences: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "trixie with backports and all components": {
    "libreoffice-writer/trixie-backports": nothingInstalled,
    "+ libreoffice/trixie-backports": nothingInstalled,
    "qemu-system-x86/trixie-backports": nothingInstalled,
    "+ cockpit/trixie-backports": nothingInstalled,
    "zfsutils-linux/trixie-backports": nothingInstalled,
  },
  "trixie with forky beside it": {
    "git/forky": nothingInstalled,
    "+ firefox-esr/testing": nothingInstalled,
    "bash/forky": nothingInstalled,
  },
};
