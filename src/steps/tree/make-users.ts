import { join } from "node:path";
import { z } from "zod";
import { isLink } from "../../tree/entries.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

const Range = z.strictObject({ start: z.int(), count: z.int() });
const PlannedUser = z.strictObject({
  name: z.string(),
  uid: z.int().optional(),
  comment: z.string(),
  shell: z.string(),
  groups: z.array(z.string()),
  sudo: z.union([z.boolean(), z.literal("password")]),
  keys: z.array(z.string()),
  hashedPassword: z.string().optional(),
  hashedPasswordSecret: z.string().optional(),
  home: z.strictObject({ path: z.string().optional(), mode: z.string().optional() }).optional(),
  subuid: Range.optional(),
  subgid: Range.optional(),
});
type PlannedUser = z.output<typeof PlannedUser>;

/** Users with their homes, keys and rights. Passwords are hashes, and reach chpasswd by its stdin. */
export const makeUsers = defineStep({
  kind: "make-users",
  summary: "make users, their keys and rights",
  schema: z.strictObject({ users: z.array(PlannedUser) }),
  run: async ({ users }, context) => {
    const tree = new Tree(context.root);
    // Before any user: useradd takes for others what is free.
    for (const user of users) placeRanges(tree, user);
    for (const user of users) await makeUser(user, context);
    // After it: useradd gives each a range of its own choice.
    for (const user of users) placeRanges(tree, user);
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
      ...(user.home?.path === undefined ? [] : ["--home-dir", user.home.path]),
      ...["--comment", user.comment, "--shell", user.shell, "--", user.name],
    ]);
  else await context.chroot(["usermod", "--shell", user.shell, "--", user.name]);
  if (user.groups.length > 0)
    await context.chroot(["usermod", "--append", "--groups", user.groups.join(","), "--", user.name]);
  const account = entry(tree, user.name);
  if (account === undefined) throw new Fail(`useradd did not make the user ${user.name}`);
  if (user.home?.mode !== undefined) tree.chmod(account.home, Number.parseInt(user.home.mode, 8));
  placeKeys(tree, user, account);
  if (user.sudo && user.name !== "root") letSudo(tree, user);
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

function letSudo(tree: Tree, { name, sudo }: PlannedUser): void {
  const directory = "/etc/sudoers.d";
  if (tree.stat(directory) === undefined)
    throw new Fail(
      `user ${name} has \`sudo: ${JSON.stringify(sudo)}\`, but the package sudo is not installed`,
    );
  const file = `${directory}/imgbuild-${name.replaceAll(".", "_")}`;
  const asks = sudo === "password" ? "" : "NOPASSWD: ";
  tree.write(file, `${name} ALL=(ALL:ALL) ${asks}ALL\n`, { mode: 0o440 });
}

/** The ids that a user has besides its own, in place of those that it had (subuid(5)). */
function placeRanges(tree: Tree, user: PlannedUser): void {
  for (const field of ["subuid", "subgid"] as const) {
    const range = user[field];
    if (range === undefined) continue;
    const others = (tree.text(`/etc/${field}`) ?? "").replace(new RegExp(`^${user.name}:.*\n?`, "gm"), "");
    tree.write(`/etc/${field}`, `${others}${user.name}:${range.start}:${range.count}\n`);
  }
}
