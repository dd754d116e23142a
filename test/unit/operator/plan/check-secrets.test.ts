import { describe, expect, it } from "vitest";
import { checkSecretContents } from "../../../../src/operator/plan/check-secrets.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const of = (texts: Readonly<Record<string, string>>) =>
  new Map(Object.entries(texts).map(([name, text]) => [name, new Secret(name, Buffer.from(text))]));

describe("checkSecretContents", () => {
  const withPassword = serverSpec({
    users: { admin: { hashedPasswordSecret: "password" } },
    secrets: { password: { file: "password.age" } },
  });

  it("takes a crypt(3) hash for a password, with the newline of its file", () => {
    checkSecretContents(withPassword, of({ password: "$y$j9T$abc$def\n" }));
    checkSecretContents(serverSpec(), of({}));
  });

  it.each(["hunter2\n", "", "$y$a:b", "root:$6$salt$hash"])("refuses %j for a password", (text) => {
    expect(() => checkSecretContents(withPassword, of({ password: text }))).toThrow(
      "the secret password for the password of admin is not a crypt(3) hash",
    );
  });

  it("refuses an empty key of a LUKS volume", () => {
    const storage = {
      disks: {
        system: {
          match: { serial: "SYS" },
          table: {
            type: "gpt" as const,
            partitions: [
              {
                name: "root",
                type: "linux-luks" as const,
                size: "rest" as const,
                content: {
                  type: "luks" as const,
                  name: "root",
                  key: "disk",
                  content: { type: "ext4" as const, mount: "/" },
                },
              },
            ],
          },
        },
      },
    };
    const spec = serverSpec({ storage, secrets: { disk: { file: "disk.age" } } });
    checkSecretContents(spec, of({ disk: "a passphrase" }));
    expect(() => checkSecretContents(spec, of({ disk: "\n" }))).toThrow(/the secret disk, .* is empty/);
  });

  it("refuses secrets of a backup that are of no use, before a machine needs them", () => {
    const secret = (name: string) => ({ file: `${name}.age`, path: `/etc/keys/${name}` });
    const spec = serverSpec({
      secrets: { word: secret("word"), cloud: secret("cloud"), login: secret("login") },
      data: {
        paths: ["/home"],
        backup: {
          ...{
            type: "restic",
            repository: "sftp:backup.example.org:web",
            password: "word",
            environment: "cloud",
          },
          ssh: { key: "login", knownHosts: ["backup.example.org ssh-ed25519 AAAA"] },
        },
      },
    });
    const login = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    const good = { word: "x\n", cloud: "AWS_ACCESS_KEY_ID=a\n", login };
    checkSecretContents(spec, of(good));
    expect(() => checkSecretContents(spec, of({ ...good, word: "\n" }))).toThrow("the secret word, which");
    expect(() => checkSecretContents(spec, of({ ...good, cloud: "a: b\n" }))).toThrow(
      "the secret cloud has a line that is not NAME=value",
    );
    expect(() => checkSecretContents(spec, of({ ...good, login: "ssh-ed25519 AAAA\n" }))).toThrow(
      "the secret login, by which the backup logs in, is not a private key",
    );
  });
});
