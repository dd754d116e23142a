import { join } from "node:path";
import { z } from "zod";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

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
  run: async ({ users }, context) => {
    for (const user of users) await makeUser(user, context);
  },
});

async function makeUser(user: PlannedUser, context: StepContext): Promise<void> {
  const tree = new Tree(context.root);
  if (tree.stat(user.shell) === undefined)
    throw new Fail(`the shell ${user.shell} of user ${user.name} is not in the tree`, {
      hint: "install its package, or declare another shell",
    });
  const known = entry(tree, user.name);
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
  const account = entry(tree, user.name);
  if (account === undefined) throw new Fail(`useradd did not make the user ${user.name}`);
  placeKeys(tree, user, account);
  if (user.sudo && user.name !== "root") letSudo(tree, user.name);
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

function entry(tree: Tree, name: string): Entry | undefined {
  const lines = (tree.text("/etc/passwd") ?? "").split("\n");
  const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
  if (fields === undefined) return undefined;
  return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5]! };
}

function placeKeys(tree: Tree, user: PlannedUser, { home, uid, gid }: Entry): void {
  if (user.keys.length === 0) return;
  const directory = join("/", home, ".ssh");
  // Whose keys they are must be seen from where they are.
  if (tree.stat(directory)?.isSymbolicLink()) throw isLink(directory);
  tree.makeDirectories(directory);
  tree.chmod(directory, 0o700);
  tree.chown(directory, uid, gid);
  const content = user.keys.map((key) => `${key}\n`).join("");
  tree.write(`${directory}/authorized_keys`, content, { mode: 0o600, uid, gid });
}

function letSudo(tree: Tree, name: string): void {
  const directory = "/etc/sudoers.d";
  if (tree.stat(directory) === undefined)
    throw new Fail(`user ${name} has \`sudo: true\`, but the package sudo is not installed`);
  const file = `${directory}/imgbuild-${name.replaceAll(".", "_")}`;
  tree.write(file, `${name} ALL=(ALL:ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
}
