import { describe, expect, it } from "vitest";
import { settingsEnable, settingsExpect } from "../../../../src/operator/settings/settings.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";
import { bios, esp, keptUuid, root } from "../../../helpers/builders/storage.ts";

const secrets = {
  repository: { file: "repository.age", path: "/etc/keys/repository" },
  login: { file: "login.age", path: "/etc/keys/login" },
};
const restic = { type: "restic", repository: "/mnt/backup", password: "repository" } as const;
const ssh = { key: "login", knownHosts: ["backup.example.org ssh-ed25519 AAAA"] };
const packages = { install: ["restic", "borgbackup", "rsync", "openssh-client", "ca-certificates"] };
const server = { packages, secrets };
const with_ = (data: object, change: object = {}) => wrongIn({ ...server, ...change, data });
const data = { paths: ["/srv/app"], backup: restic };

describe("data", () => {
  it("leaves no trace where it is not said", () => {
    expect(written({})).toEqual({});
    expect(settingsEnable(Spec.parse({ hostname: "x" }))).toEqual([]);
    expect("data" in Spec.parse({ hostname: "x" })).toBe(false);
  });

  it("becomes a program, a service with its secrets as credentials, and a timer", () => {
    const files = written({ ...server, data: { ...data, schedule: "Mon 04:30" } });
    expect(Object.keys(files)).toEqual([
      "/usr/local/sbin/imgbuild-backup",
      "/etc/systemd/system/imgbuild-backup.service",
      "/etc/systemd/system/imgbuild-backup.timer",
    ]);
    const service = files["/etc/systemd/system/imgbuild-backup.service"]!;
    expect(service).toContain("ExecStart=/usr/local/sbin/imgbuild-backup now\n");
    expect(service).toContain("LoadCredential=repository:/etc/keys/repository\n");
    expect(files["/etc/systemd/system/imgbuild-backup.timer"]).toContain("OnCalendar=Mon 04:30\n");
    const spec = Spec.parse({ hostname: "x", ...server, data });
    expect(settingsEnable(spec)).toEqual(["imgbuild-backup.timer"]);
  });

  it("has what was restored loaded after the database's server, and before those that use it", () => {
    const databases = [{ postgresql: "app", before: ["app.service"] }];
    const change: Partial<SpecInput> = { ...server, data: { ...data, databases } };
    const files = written(change);
    const load = files["/etc/systemd/system/imgbuild-load.service"]!;
    expect(load).toContain("After=postgresql.service\n");
    expect(load).toContain("ConditionDirectoryNotEmpty=/var/lib/imgbuild/load\n");
    expect(files["/etc/systemd/system/app.service.d/40-imgbuild-load.conf"]).toBe(
      "[Unit]\nRequires=imgbuild-load.service\nAfter=imgbuild-load.service\n",
    );
    const spec = Spec.parse({ hostname: "x", ...change });
    expect(settingsEnable(spec)).toEqual(["imgbuild-backup.timer", "imgbuild-load.service"]);
    expect(settingsExpect(spec).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...["calendar event daily", "program restic", "program pg_dump", "program psql", "program runuser"],
      ...["unit postgresql.service", "unit app.service"],
    ]);
  });

  it("is accepted with each program of backups", () => {
    const backups = [
      restic,
      { ...restic, repository: "sftp:me@backup.example.org:/srv/web", ssh },
      { ...restic, repository: { secret: "login" } },
      { ...restic, repository: "s3:https://s3.example.org/web", environment: "login" },
      { type: "borg", repository: "ssh://me@backup.example.org:2222/./web", password: "repository", ssh },
      { type: "rsync", target: "me@backup.example.org:web", ssh },
      { type: "command", backup: "a", restore: "b", check: "c", secrets: ["login"], packages: ["restic"] },
    ];
    for (const backup of backups) expect(with_({ ...data, backup })).toEqual([]);
  });

  it.each<[object, string]>([
    [{ ...data, paths: ["srv"] }, "data.paths[0]: "],
    [{ ...data, paths: ["/srv/*"] }, "data.paths[0]: "],
    [{ ...data, paths: ["/srv/../etc"] }, "data.paths[0]: "],
    [{ ...data, paths: [] }, "data: says of nothing that it is state; needs `paths` or `databases`"],
    [
      { ...data, paths: ["/var"] },
      "data.paths[0]: /var holds or is part of /var/lib/imgbuild, which a build makes",
    ],
    [{ ...data, paths: ["/usr/share/x"] }, "data.paths[0]: /usr/share/x holds or is part of /usr"],
    [{ ...data, paths: ["/etc"] }, "data.paths[0]: /etc holds or is part of /etc/passwd"],
    [{ ...data, paths: ["/srv", "/srv/app"] }, "data.paths[1]: /srv/app is in /srv already; leave it out"],
    [{ ...data, schedule: "each day" }, "data.schedule: "],
    [
      { ...data, backup: { ...restic, password: "none" } },
      "data.backup: `none` is not in secrets; accepted are repository, login",
    ],
    [
      { ...data, backup: { ...restic, repository: "sftp:me@backup.example.org:/x" } },
      "data.backup.ssh: is missing; needs `key` and `knownHosts`",
    ],
    [{ ...data, backup: { ...restic, ssh } }, "data.backup.ssh: is for an address that is reached by SSH"],
    [
      { ...data, backup: { type: "rsync", target: "/mnt/x" }, keep: { daily: 1 } },
      "data.keep: is for restic and borg, not for rsync; leave it out",
    ],
    [
      { ...data, databases: [{ postgresql: "a" }, { mariadb: "a" }] },
      "data.databases[1]: another database is called a too; needs a name of its own",
    ],
    [{ ...data, databases: [{ name: "a", dump: "b" }] }, "data.databases[0].load: is missing"],
  ])("refuses %j", (given, why) => {
    expect(with_(given)).toEqual([expect.stringContaining(why)]);
  });

  it("needs the packages of its programs, and says the line to add", () => {
    const none = { packages: { install: [] } };
    expect(with_(data, none)).toEqual(["data.backup: needs the package `restic` in packages.install"]);
    const backup = { type: "borg", repository: "me@backup.example.org:web", password: "repository", ssh };
    expect(with_({ ...data, backup }, none)).toEqual([
      "data.backup: needs the package `borgbackup` in packages.install",
      "data.backup.ssh: needs the package `openssh-client` in packages.install",
    ]);
    const web = { ...restic, repository: "rest:https://backup.example.org/web" };
    expect(with_({ ...data, backup: web }, { packages: { install: ["restic"] } })).toEqual([
      "data.backup.repository: needs the package `ca-certificates` in packages.install",
    ]);
  });

  it("needs its secrets on the disk, where a unit can name them", () => {
    expect(with_(data, { secrets: { repository: { file: "a.age" } } })).toEqual([
      "secrets.repository: needs a `path`, from which the backup takes it",
    ]);
    const odd = { repository: { file: "a.age", path: "/etc/my key" } };
    expect(with_(data, { secrets: odd })).toEqual([
      expect.stringContaining("secrets.repository.path: may hold"),
    ]);
  });

  it("does not name what is kept as a part of something larger", () => {
    const kept = {
      ...{ name: "kept", type: "linux" },
      content: { type: "ext4", mount: "/srv/app/kept", keep: { uuid: keptUuid } },
    };
    const table = { type: "gpt", partitions: [bios, esp, { ...kept, size: undefined }, root] };
    const storage = { disks: { system: { match: { serial: "S" }, table } } };
    expect(with_(data, { boot: {}, storage })).toContain(
      "data.paths[0]: /srv/app holds /srv/app/kept, which is kept and never restored; name what is beside it",
    );
  });
});
