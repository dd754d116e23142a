import { appendFile, chmod, chown, lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fail } from "../util/fail.ts";
import { defineStep, type StepContext } from "./step.ts";

const PlannedUser = z.strictObject({
  name: z.string(),
  uid: z.int().optional(),
  comment: z.string(),
  shell: z.string(),
  groups: z.array(z.string()),
  sudo: z.boolean(),
  keys: z.array(z.string()),
  hashedPassword: z.string().optional(),
  hashedPasswordSecret: z.string().optional(),
});
type PlannedUser = z.output<typeof PlannedUser>;

/** Users with their homes, keys and rights. Passwords are hashes, and reach chpasswd by its stdin. */
export const makeUsers = defineStep({
  kind: "make-users",
  summary: "make users, their keys and rights",
  schema: z.strictObject({ users: z.array(PlannedUser) }),
  tools: [],
  run: async ({ users }, context) => {
    for (const user of users) await makeUser(user, context);
  },
});

async function makeUser(user: PlannedUser, context: StepContext): Promise<void> {
  const { root } = context;
  if ((await lstat(join(root, user.shell)).catch(() => undefined)) === undefined)
    throw new Fail(`the shell ${user.shell} of user ${user.name} is not in the tree`, {
      hint: "install its package, or declare another shell",
    });
  const known = await entry(root, user.name);
  if (known === undefined)
    await context.chroot([
      "useradd",
      "--create-home",
      "--user-group",
      ...(user.uid === undefined ? [] : ["--uid", String(user.uid)]),
      ...["--comment", user.comment, "--shell", user.shell, "--", user.name],
    ]);
  else await context.chroot(["usermod", "--shell", user.shell, "--", user.name]);
  if (user.groups.length > 0)
    await context.chroot(["usermod", "--append", "--groups", user.groups.join(","), "--", user.name]);
  const made = await entry(root, user.name);
  if (made === undefined) throw new Fail(`useradd did not make the user ${user.name}`);
  await placeKeys(root, user, made);
  if (user.sudo && user.name !== "root") await letSudo(root, user.name);
  const secret = user.hashedPasswordSecret;
  const hash =
    user.hashedPassword ??
    (secret === undefined
      ? undefined
      : Buffer.from(context.secrets.get(secret)?.expose() ?? [])
          .toString()
          .trim());
  if (hash === undefined) return;
  if (!isCryptHash(hash))
    throw new Fail(`the secret ${secret} for the password of ${user.name} is not a crypt(3) hash`, {
      hint: "make one with `mkpasswd --method=yescrypt`",
    });
  await context.chroot(["chpasswd", "--encrypted"], { stdin: `${user.name}:${hash}\n` });
}

/** A password as crypt(3) gives it, "$y$…"; a newline that ends its file does no harm. */
export function isCryptHash(text: string): boolean {
  return /^\$[a-z0-9]+\$[^:\n]+$/.test(text.trim());
}

interface Entry {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

async function entry(root: string, name: string): Promise<Entry | undefined> {
  const lines = (await readFile(join(root, "etc/passwd"), "utf8")).split("\n");
  const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
  if (fields === undefined) return undefined;
  return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5]! };
}

async function placeKeys(root: string, user: PlannedUser, made: Entry): Promise<void> {
  if (user.keys.length === 0) return;
  const directory = join(root, made.home, ".ssh");
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o700);
  await chown(directory, made.uid, made.gid);
  const file = join(directory, "authorized_keys");
  await writeFile(file, "", { mode: 0o600, flag: "w" });
  await chmod(file, 0o600);
  await chown(file, made.uid, made.gid);
  await appendFile(file, user.keys.map((key) => `${key}\n`).join(""));
}

async function letSudo(root: string, name: string): Promise<void> {
  const directory = join(root, "etc/sudoers.d");
  if ((await lstat(directory).catch(() => undefined)) === undefined)
    throw new Fail(`user ${name} has \`sudo: true\`, but the package sudo is not installed`);
  const file = join(directory, `imgbuild-${name.replaceAll(".", "_")}`);
  await writeFile(file, `${name} ALL=(ALL:ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
  await chmod(file, 0o440);
}
