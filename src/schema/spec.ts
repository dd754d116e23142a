import { z } from "zod";
import { architectureNames, onlyName } from "../tables/architecture.ts";
import { releaseNames, unreleased, usualRelease } from "../tables/release.ts";
import { HostBinding } from "./facts.ts";
import { Health } from "./health.ts";
import { Network } from "./network.ts";
import {
  Data,
  Firewall,
  Home,
  Hosts,
  IdRange,
  Modules,
  RescueBoot,
  Sshd,
  Sysctl,
  Sysusers,
  Tmpfiles,
} from "./settings.ts";
import { Storage } from "./storage.ts";
import { Store } from "./store.ts";
import { Patch, Provision, Template } from "./tree-edits.ts";
import { AbsolutePath, Line, Mode, Name, UnitName, webUrl } from "./words.ts";

/** Everything a definition says, validated and with its defaults filled in: plain, printable, hashable data. */

export const TimeZone = z
  .string()
  .regex(/^[A-Za-z]+(\/[A-Za-z0-9_+-]+)*$/, 'a time zone such as "Europe/Berlin"');
export const HostName = z
  .string()
  .regex(
    /^(?=.{1,64}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    "a host name",
  );
/** "nginx", "nginx=1.26.3-3", "nginx/trixie-backports"; "nginx-" is never installed, even if another package wants it. */
const Wanted = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9][A-Za-z0-9.+:~-]*|\/[a-z][a-z-]*)?$/,
    "a Debian package name, alone or as name=version, name/suite or name-",
  );
/** GRUB puts a backslash before quotes and backslashes, and the kernel's quotes join words: in a word without spaces none is of use. */
const KernelWord = z
  .string()
  .regex(/^[!#-&(-[\]-~]+$/, "one word of printable ASCII without quotes and backslashes");
const debianSuite = new RegExp(
  `^(${[...releaseNames, unreleased].join("|")})(-backports|-backports-sloppy|-proposed-updates)?$`,
);
const ArchiveName = z
  .string()
  .regex(/^(?!(debian|debian-security|local)$)[a-z][a-z0-9-]{0,31}$/, "a name that is not Debian's own");

/** An archive beside Debian's, trusted for the signatures of one key. */
export const Repository = z.strictObject({
  /** The archive's address, above `dists`. */
  url: webUrl(/^(https?|file)$/),
  /** Of its `dists`. */
  suite: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "a suite as in dists/<suite>"),
  /** Its parts. */
  components: z.array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a component such as "main"')).min(1),
  /** Armored, as from `readText("keys/vendor.asc")`. */
  key: z.string().startsWith("-----BEGIN PGP PUBLIC KEY BLOCK-----", "an armored OpenPGP public key"),
  /** Which of its keys counts. */
  fingerprint: z.string().regex(/^([0-9A-F]{40}|[0-9A-F]{64})$/, "40 capital hexadecimal digits"),
});

const System = z.strictObject({
  /** What it is a system of. */
  distribution: z.literal("debian").default("debian"),
  /** The release of Debian. */
  suite: z.enum(releaseNames).default(usualRelease),
  /** Of its packages and kernel. */
  architecture: z.enum(architectureNames).default(onlyName),
  /** Of Debian's archive. */
  components: z
    .array(z.enum(["main", "contrib", "non-free", "non-free-firmware"]))
    .min(1)
    .default(["main"]),
  /** Base URL of an archive mirror; default: the target's own apt sources, then the operator's. */
  mirror: webUrl(/^https?$/).optional(),
  /** Who is asked for packages that no mirror has any more, in this order. */
  stores: z.array(Store).optional(),
  /** Suites beside the release, as "trixie-backports" or another release; taken from where a package is asked for by suite or pin. */
  suites: z.array(z.string().regex(debianSuite, "a suite of Debian's archive")).optional(),
  /** Archives of others, by a name of your choice. */
  repositories: z.record(ArchiveName, Repository).optional(),
});

/** A preference for versions, as in apt_preferences(5). */
export const Pin = z
  .strictObject({
    /** Names, in which `*` and `?` stand for any; ["*"] means all packages that no other pin names. */
    packages: z.array(z.string().regex(/^[a-z0-9*?][a-z0-9+.*?-]*$/, "a package name or pattern")).min(1),
    /** Packages of this suite. */
    suite: z
      .string()
      .regex(/^[a-z][a-z-]*$/, `a suite such as "${usualRelease}-backports"`)
      .optional(),
    /** A repository's name, or the `Origin` of its Release. */
    origin: Line.min(1).optional(),
    /** Packages of this version; `*` stands for any text. */
    version: z
      .string()
      .regex(/^[A-Za-z0-9.+:~*-]+$/, 'a version such as "1.26.*"')
      .optional(),
    /** As apt knows it: above 1000 also a version that is older than the one installed, below 0 never. */
    priority: z.int().min(-32768).max(32767),
  })
  .refine(
    ({ suite, origin, version }) => suite !== undefined || origin !== undefined || version !== undefined,
    "needs `suite`, `origin` or `version`",
  );

const Packages = z.strictObject({
  /** Packages by name; those that they depend on come with them. */
  install: z.array(Wanted).default([]),
  /** Whether what the packages recommend is installed too. */
  recommends: z.boolean().default(false),
  /** Your own packages: .deb files beside the definition. */
  debs: z
    .array(
      z
        .string()
        .regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))[A-Za-z0-9+.~_/-]+\.deb$/, "a relative path of a .deb file"),
    )
    .optional(),
  /** Which version is taken where there are several. */
  pins: z.array(Pin).optional(),
  /** Globs of absolute paths that are removed from the finished tree; for the base, not for servers. */
  prune: z.array(z.string().startsWith("/")).default([]),
});

const Certificate = z
  .string()
  .startsWith("-----BEGIN CERTIFICATE-----", 'a certificate in PEM, as from `readText("keys/db.pem")`');

/** Secure Boot with your own keys: everything that the firmware starts is signed by one key. */
const OwnKeys = z.strictObject({
  /** The secret that holds the RSA key in PEM. With a `path`, it is there on the new system, which signs new kernels itself. */
  key: Name,
  /** The key's certificate. */
  certificate: Certificate,
  /** Certificates whose programs may run as well, as Microsoft's where cards bring programs of their own. */
  alsoTrusted: z.array(Certificate).optional(),
  /** When systemd-boot gives the keys to firmware that knows none (`secure-boot-enroll` of loader.conf(5)); "force" on real machines. */
  enroll: z.enum(["off", "manual", "if-safe", "force"]).default("if-safe"),
});

export const Boot = z.strictObject({
  /** Firmware the machine may have. BIOS is always served by GRUB. */
  firmware: z
    .array(z.enum(["uefi", "bios"]))
    .min(1)
    .default(["uefi", "bios"]),
  /** What starts kernels under UEFI: systemd-boot, with kernels as they are or each in a unified image (`uki`); or GRUB. */
  loader: z.enum(["systemd-boot", "uki", "grub"]).default("systemd-boot"),
  /** "debian": Debian's shim, bootloader and kernel, signed by Microsoft and Debian. Left out: Secure Boot has to be off. */
  secureBoot: z.union([z.literal("debian"), OwnKeys]).optional(),
  /** Words added to the kernel command line. */
  cmdline: z.array(KernelWord).default([]),
  /** Consoles of an offline image; a deploy keeps the target's. The last one is the kernel's main console. */
  consoles: z
    .array(z.string().regex(/^tty[A-Za-z0-9]+(,[0-9]+[neo]?[5-8]?)?$/, 'a console such as "ttyS0,115200"'))
    .default(["tty0", "ttyS0,115200"]),
  /** How long the boot menu is shown. */
  menuTimeoutSeconds: z.int().min(0).max(60).default(1),
  /** Whether the base stays beside the system as its rescue system, with an entry in the boot menu that is never the default. */
  rescue: z.union([z.boolean(), RescueBoot]).optional(),
});

const User = z.strictObject({
  /** Numeric id; default: the next free one. */
  uid: z.int().min(1000).max(59999).optional(),
  /** The full name, for example. */
  comment: Line.regex(/^[^:]*$/, "text without a colon").default(""),
  /** What a login starts. */
  shell: AbsolutePath.default("/bin/bash"),
  /** Groups besides its own, which has its name. */
  groups: z.array(Name).default([]),
  /** `true`: all of sudo, without a password; "password": with the user's own. Needs the package sudo. */
  sudo: z.union([z.boolean(), z.literal("password")]).default(false),
  /** Lines of ~/.ssh/authorized_keys. */
  keys: z.array(Line.regex(/^(ssh-|ecdsa-|sk-)/, "a public key as in authorized_keys")).default([]),
  /** A crypt(3) hash, never a password; default: no password login. */
  hashedPassword: Line.regex(/^\$(6|y|2b|7)\$[./A-Za-z0-9$=,]+$/, "a crypt(3) hash ($y$…, $6$…)").optional(),
  /** The same from a secret. */
  hashedPasswordSecret: Name.optional(),
  /** Default: a directory of the user's name in /home, which others may read where adduser's settings say so. */
  home: Home.optional(),
  /** Ids that containers of this user may use; default: the next 65536 free ones. */
  subuid: IdRange.optional(),
  /** The same of group ids. */
  subgid: IdRange.optional(),
  /** Services of this user run without a login. Needs the package libpam-systemd. */
  lingering: z.boolean().optional(),
});

const InlineFile = z.strictObject({
  /** The text of the file. */
  content: z.string().max(1024 * 1024),
  /** Permissions in octal. */
  mode: Mode.default("0644"),
  /** A user of the new system. */
  owner: Name.default("root"),
  /** A group of the new system. */
  group: Name.default("root"),
});

export const Service = z.strictObject({
  /** Whether it is started at each start of the system; a masked unit cannot be started at all. */
  state: z.enum(["enabled", "disabled", "masked"]).optional(),
  /** Text of a drop-in for the packaged unit. */
  dropIn: z.string().max(65536).optional(),
  /** Text of a unit of the definition's own, placed in /etc/systemd/system. */
  unit: z.string().max(65536).optional(),
  /** Names of secrets with a `path` that the service finds in $CREDENTIALS_DIRECTORY, each by its name, whichever user it runs as. */
  credentials: z.array(Name).optional(),
});

const SecretFile = z.strictObject({
  /** Path of the age file, relative to the definition or `../../secrets/…`. */
  file: z.string().regex(/^[^\0]+\.age$/, "the path of an .age file"),
  /** Where the plain bytes land; left out for secrets used only by name, as `hashedPasswordSecret`. */
  path: AbsolutePath.optional(),
  /** Permissions of the file in octal. */
  mode: Mode.default("0600"),
  /** A user of the new system. */
  owner: Name.default("root"),
  /** A group of the new system. */
  group: Name.default("root"),
});

export const Spec = z.strictObject({
  /** Of this format. */
  version: z.literal(1).default(1),
  /** Release, mirrors and archives. */
  system: System.prefault({}),
  /** What is installed. */
  packages: Packages.prefault({}),
  /** The only host that this is for; others are refused. */
  host: HostBinding.optional(),
  /** Left out for a tree without disks, as the base. */
  storage: Storage.optional(),
  /** How it starts. Needed where there is `storage`. */
  boot: Boot.optional(),
  /** Its name, with or without a domain. */
  hostname: HostName,
  /** Language of the system; one other than C.UTF-8 needs the package locales. */
  locale: z
    .string()
    .regex(/^([a-z]{2,3}_[A-Z]{2}|C)\.UTF-8$/, 'a UTF-8 locale such as "en_GB.UTF-8"')
    .default("C.UTF-8"),
  /** By the names of /usr/share/zoneinfo. */
  timezone: TimeZone.default("Etc/UTC"),
  /** Links by a name of your choice, set up by systemd-networkd. */
  network: z.record(Name, Network).default({}),
  /** More lines of /etc/hosts, names by address: `{ "192.0.2.7": ["db.example.org", "db"] }`. */
  hosts: Hosts.optional(),
  /** Kernel settings by name, set at each start: `{ "net.ipv4.ip_forward": 1 }`. */
  sysctl: Sysctl.optional(),
  /** Kernel modules that are loaded at each start, get parameters, or are never loaded. */
  modules: Modules.optional(),
  /** Settings of OpenSSH's server: `{ ports: [22, 2222], passwordAuthentication: false }`. */
  sshd: Sshd.optional(),
  /** What comes in: `{ tcp: [22, 80, 443] }`, or the text of an nftables.conf. */
  firewall: Firewall.optional(),
  /** People who log in, by name. */
  users: z.record(Name, User).default({}),
  /** Users and groups of services. */
  sysusers: Sysusers.optional(),
  /** Lines of tmpfiles.d(5): `["d /run/app 0750 app app -"]`. */
  tmpfiles: Tmpfiles.optional(),
  /** Inline files by path; the directory `files/` beside the definition is copied as it is, before these. */
  files: z.record(AbsolutePath, InlineFile).default({}),
  /** Changes of packaged files, made before anything else is placed. */
  patches: z.array(Patch).optional(),
  /** Files with places for values, by path. */
  templates: z.record(AbsolutePath, Template).optional(),
  /** Scripts that run in the tree, in this order, when all files are placed. */
  provision: z.array(Provision).optional(),
  /** Units of packages and of your own, by name. */
  services: z.record(UnitName, Service).default({}),
  /** Files that are encrypted in the repository, by a name of your choice. */
  secrets: z.record(Name, SecretFile).default({}),
  /** "keep": the old system's; "new": made for this deploy; or the name of a secret holding an OpenSSH ed25519 key. */
  hostKeys: z.union([z.enum(["keep", "new"]), z.strictObject({ secret: Name })]).default("keep"),
  /** What is state on this machine, where it is backed up, and how it comes back. */
  data: Data.optional(),
  /** What must hold before a deploy or a test is done. */
  health: z.array(Health).default([]),
});

export type Spec = z.output<typeof Spec>;
/** What `IMGBUILD.ts` may say: the same with every default optional. */
export type SpecInput = z.input<typeof Spec>;
export type Boot = z.output<typeof Boot>;
export type Pin = z.output<typeof Pin>;
export type Repository = z.output<typeof Repository>;
