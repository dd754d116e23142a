import { describe, expect, it } from "vitest";
import { isOwnPath, serverOf } from "../../../../src/operator/settings/backup-address.ts";

const restic = (repository: string) => ({ type: "restic", repository, password: "p" }) as const;
const borg = (repository: string) => ({ type: "borg", repository, password: "p" }) as const;
const rsync = (target: string) => ({ type: "rsync", target }) as const;
const host = "backup.example.org";

describe("the server of a backup", () => {
  it.each([
    [restic(`sftp:me@${host}:/srv/web`), { host, port: 22, login: `me@${host}` }],
    [restic(`sftp:${host}:web`), { host, port: 22, login: host }],
    [restic(`sftp://me@${host}:2222//srv/web`), { host, port: 2222, login: `me@${host}` }],
    [
      restic("sftp://me@[2001:db8::1]:2222//srv"),
      { host: "2001:db8::1", port: 2222, login: "me@2001:db8::1" },
    ],
    [restic(`rest:https://me:pass@${host}/web`), { host, port: 443 }],
    [restic(`rest:http://${host}:8000/web`), { host, port: 8000 }],
    [restic(`s3:https://${host}/bucket`), { host, port: 443 }],
    [restic("s3:s3.example.org/bucket"), { host: "s3.example.org", port: 443 }],
    [borg(`ssh://me@${host}:2222/./web`), { host, port: 2222, login: `me@${host}` }],
    [borg(`me@${host}:web`), { host, port: 22, login: `me@${host}` }],
    [rsync(`me@${host}:/srv/web`), { host, port: 22, login: `me@${host}` }],
    [restic("/mnt/backup"), undefined],
    [restic("b2:bucket:web"), undefined],
    [borg("/mnt/backup"), undefined],
    [rsync("/mnt/backup:x"), undefined],
  ])("of %j is %j", (backup, server) => {
    expect(serverOf(backup)).toEqual(server);
  });

  it("is none where the address is a path of the machine's own", () => {
    expect([restic("/mnt/backup"), restic("local:/mnt/x"), rsync("/mnt/x")].map(isOwnPath)).toEqual([
      true,
      true,
      true,
    ]);
    expect([restic("b2:bucket:web"), borg(`me@${host}:web`)].map(isOwnPath)).toEqual([false, false]);
  });
});
