import { z } from "zod";
import { AbsolutePath, Line, Mode, Name, UnitName } from "./words.ts";

/** Words of a definition that become a few lines in a file of a known place. All of them may be left out. */

const Word = z
  .string()
  .regex(/^[!#-&(-[\]-~]+$/, "one word of printable ASCII without quotes and backslashes");

const Port = z.int().min(1).max(65535);

/** Kernel settings by name, set at each start: /etc/sysctl.d. */
export const Sysctl = z.record(
  z
    .string()
    .max(256)
    .regex(
      /^(abi|crypto|debug|dev|fs|kernel|net|sunrpc|user|vm|xen)(?!.*[./]{2})[./][A-Za-z0-9_*.@:/-]*[A-Za-z0-9_*]$/,
      'the name of a kernel setting such as "net.ipv4.ip_forward"',
    ),
  z.union([z.int(), Line.max(1024).regex(/^\S(.*\S)?$/, "one line of text without blanks around it")]),
);

/** More lines of /etc/hosts: names by address. */
export const Hosts = z.record(
  z.union([z.ipv4(), z.ipv6()]),
  z
    .array(
      z
        .string()
        .max(253)
        .regex(
          /^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*$/,
          "a host name",
        ),
    )
    .min(1),
);

const ModuleName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, "the name of a kernel module");

/** Kernel modules: what is loaded at each start, with which parameters, and what is never loaded. */
export const Modules = z.strictObject({
  /** Loaded at each start. */
  load: z.array(ModuleName).default([]),
  /** Parameters by module: `{ loop: { max_loop: 64 } }`. */
  options: z
    .record(
      ModuleName,
      z.record(z.string().regex(/^[A-Za-z0-9_]+$/, "the name of a parameter"), z.union([z.int(), Word])),
    )
    .default({}),
  /** Neither loaded for hardware that asks for them, nor by `modprobe`. */
  blocked: z.array(ModuleName).default([]),
});

const Keyword = z.string().regex(/^[A-Za-z0-9]{2,64}$/, "a keyword of sshd_config(5)");
/** What a keyword is given; sshd reads what follows `#` as a comment. */
const SshdValue = z.union([
  z.boolean(),
  z.int(),
  Line.max(1024).regex(/^[^\s#]([^#]*[^\s#])?$/, "one line of text without `#` and blanks around it"),
]);
/** A name, in which `*` and `?` stand for any; for some addresses alone after `@`. */
const SshdPattern = z
  .string()
  .regex(
    /^[A-Za-z0-9_.*?-]+(@[A-Za-z0-9.:*?/-]+)?$/,
    "a name or pattern such as `admin` or `admin@192.0.2.*`",
  );

/** OpenSSH's server, by a file that it reads before its own settings. */
export const Sshd = z.strictObject({
  /** Where it listens; left out: 22. */
  ports: z.array(Port).min(1).optional(),
  /** Whether a password lets in. */
  passwordAuthentication: z.boolean().optional(),
  /** How root is let in. */
  permitRootLogin: z.enum(["yes", "prohibit-password", "forced-commands-only", "no"]).optional(),
  /** Only these users are let in. */
  allowUsers: z.array(SshdPattern).min(1).optional(),
  /** Only users of these groups are let in. */
  allowGroups: z.array(SshdPattern).min(1).optional(),
  /** Everything else of sshd_config(5): `{ MaxAuthTries: 3, X11Forwarding: false }`; a list is a line each. */
  options: z.record(Keyword, z.union([SshdValue, z.array(SshdValue).min(1)])).optional(),
});

const Ports = z.array(
  z.union([
    Port,
    z.string().regex(/^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$/, 'a port, or a range such as "60000-61000"'),
  ]),
);

/** What comes in: ports, and everything else of the input chain by nftables' own lines; or a whole /etc/nftables.conf. */
export const Firewall = z.union([
  z.string().max(1024 * 1024),
  z.strictObject({
    /** Ports that are reached from outside. */
    tcp: Ports.default([]),
    /** The same of UDP. */
    udp: Ports.default([]),
    /** Rules of nft(8), after those for ports: `ip saddr 192.0.2.0/24 tcp dport 5432 accept`. */
    rules: z
      .array(Line.max(4096).regex(/^[^;{}#]*(\{[^{}#]*\}[^;{}#]*)*$/, "one rule of nft(8) in one line"))
      .default([]),
  }),
]);

/** Lines of tmpfiles.d(5): directories and files that are made, emptied or cleaned at each start. */
export const Tmpfiles = z.array(
  Line.max(4096).regex(
    /^[fwdDevqQpLcbCxXrRzZtThHaA][+!=~^$?-]*\s+["']?[/%]/,
    "a line of tmpfiles.d(5) such as `d /run/app 0750 app app -`",
  ),
);

const PlainPath = AbsolutePath.regex(/^[A-Za-z0-9_.@+/-]+$/, "a path of letters, digits and `_.@+-/`");

/** Of a user: a path, or with a mode. */
export const Home = z.union([
  PlainPath,
  z.strictObject({ path: PlainPath.optional(), mode: Mode.optional() }),
]);
/** Subordinate ids, as in subuid(5). */
export const IdRange = z
  .strictObject({ start: z.int().min(65_536).max(4_294_967_294), count: z.int().min(1).max(4_294_901_760) })
  .refine(({ start, count }) => start + count <= 4_294_967_295, "a range that ends below 4294967295");

/** Users and groups of services, by name; they exist before files are placed, so that files may be theirs. */
const SystemUser = z.strictObject({
  /** Default: a free one below 1000. */
  id: z.int().min(1).max(999).optional(),
  /** What it is for. */
  comment: Line.max(256)
    .regex(/^(?!-$)[^"'\\:%]*$/, "text without quotes, `\\`, `:` and `%`, and more than a dash")
    .default(""),
  /** Its home; left out: none. */
  home: PlainPath.optional(),
  /** Default: none, so that no one logs in. */
  shell: PlainPath.optional(),
  /** Besides its own, which has its name. */
  groups: z.array(Name).default([]),
  /** False: a group alone. */
  user: z.boolean().default(true),
});
export const Sysusers = z.record(Name, SystemUser);

/** Without what restic, borg and rsync read as patterns, and without blanks. */
const StatePath = z
  .string()
  .max(1024)
  .regex(
    /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.@+:=,~-]+)+$/,
    "an absolute path of letters, digits and `_.@+:=,~-`",
  );
const Excluded = z
  .string()
  .max(1024)
  .regex(
    /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.@+:=,~*-]+)+$/,
    "an absolute path of letters, digits and `_.@+:=,~-`, in which `*` stands for any within a name",
  );
const Shell = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0]+$/, "a command line of bash");
const DatabaseName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, "the name of a database of letters, digits and `_.-`");
const Units = z.array(UnitName).default([]);

/** A database: by a word for what is known, or by commands. */
const Database = z.union([
  z.strictObject({
    /** A database of PostgreSQL, with the roles of its server. */
    postgresql: DatabaseName,
    /** Services that use it: they start when it is loaded. */
    before: Units,
  }),
  z.strictObject({
    /** A database of MariaDB. */
    mariadb: DatabaseName,
    /** Services that use it: they start when it is loaded. */
    before: Units,
  }),
  z.strictObject({
    /** As messages call it. */
    name: Name,
    /** By bash, as root: writes the dump to stdout. */
    dump: Shell,
    /** By bash, as root: reads the dump on stdin, and puts it in the place of what is there. */
    load: Shell,
    /** Units that run while it is loaded, as the database's server. */
    after: Units,
    /** Services that use it: they start when it is loaded. */
    before: Units,
  }),
]);

const Address = Line.max(1024).regex(/^[!-~]+$/, "an address of printable ASCII without blanks");
/** Over SSH: with which key, and by which keys the server is known. */
const BackupSsh = z.strictObject({
  /** The secret that holds the private key, without a passphrase. */
  key: Name,
  /** Lines of known_hosts(5): `["backup.example.org ssh-ed25519 AAAA…"]`. */
  knownHosts: z.array(Line.max(4096).regex(/^\S+ +\S+ +\S+/, "a line of known_hosts")).min(1),
});

const Backup = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("restic"),
    /** As restic takes it: `sftp:me@backup.example.org:/srv/web`, `rest:https://…`, `s3:https://…`; or the secret that holds it. */
    repository: z.union([Address, z.strictObject({ secret: Name })]),
    /** The secret that holds the repository's password. */
    password: Name,
    /** The secret that holds keys of a cloud, as lines `NAME=value` for restic's environment. */
    environment: Name.optional(),
    /** Needed for `sftp:`. */
    ssh: BackupSsh.optional(),
  }),
  z.strictObject({
    type: z.literal("borg"),
    /** As borg takes it: `ssh://me@backup.example.org/./web`, or a path. */
    repository: Address,
    /** The secret that holds the repository's passphrase. */
    password: Name,
    /** Needed for `ssh:`. */
    ssh: BackupSsh.optional(),
  }),
  z.strictObject({
    type: z.literal("rsync"),
    /** A directory that holds the latest copy: `me@backup.example.org:web`, `ssh://me@backup.example.org:2222/srv/web`, or a path. */
    target: Address,
    /** Needed for another machine. */
    ssh: BackupSsh.optional(),
  }),
  z.strictObject({
    type: z.literal("command"),
    /** By bash, as root: backs up the paths `"$@"`. */
    backup: Shell,
    /** By bash, as root, in `/`: restores the paths `"$@"`, as they were backed up last. */
    restore: Shell,
    /** By bash, as root: fails where nothing could be restored. Run before the first write of a restore, and by `imgbuild backup HOST check`. */
    check: Shell,
    /** By bash, as root: what there is to restore. */
    list: Shell.optional(),
    /** Names of secrets with a `path`, which the commands find as files in $CREDENTIALS_DIRECTORY, each by its name. */
    secrets: z.array(Name).default([]),
    /** Packages that the commands need to be tried with before the first write of a restore. */
    packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, "a Debian package name")).default([]),
  }),
]);

const Count = z.int().min(1).max(10_000).optional();

/** What is state on this machine, where it is backed up, and how it comes back. */
export const Data = z.strictObject({
  /** Files and directories that are state; what is not there is left out. */
  paths: z.array(StatePath).default([]),
  /** What of it is not backed up: `["/var/lib/app/cache"]`. */
  exclude: z.array(Excluded).default([]),
  /** Databases, which are dumped before a backup and loaded after a restore. */
  databases: z.array(Database).default([]),
  /** Where it is backed up, and by which program. */
  backup: Backup,
  /** When, as in systemd.time(7). */
  schedule: Line.min(1).default("daily"),
  /** How many backups of each kind restic and borg keep, `{}` for all; left out: 7 daily, 5 weekly, 12 monthly. */
  keep: z
    .strictObject({ last: Count, daily: Count, weekly: Count, monthly: Count, yearly: Count })
    .optional(),
});

export type Data = z.output<typeof Data>;

/** The base that stays on the machine. */
export const RescueBoot = z.strictObject({
  /** The secret with its SSH host key (OpenSSH, ed25519); default: made for each deploy or image. It is on the disk unencrypted, so never the system's own. */
  hostKey: Name.optional(),
});
