import type { Machine } from "../../../src/testing/index.ts";

type Asked = Pick<Machine, "succeed">;

/** What must be the same before and after: the files' checksums with modes and owners, and the rows with what counts them on. */
export interface GuestbookState {
  readonly files: string;
  readonly rows: string;
}

export const machineIdOfBefore = "0123456789abcdef0123456789abcdef";
const files =
  "cd /srv/guestbook && find . -printf '%y %m %u %g %p\\n' | sort && find . -type f -exec sha256sum {} + | sort";
const rows =
  "SELECT md5(string_agg(id || ' ' || text, ',' ORDER BY id)), count(*), pg_get_userbyid((SELECT relowner FROM pg_class WHERE relname = 'entry')) FROM entry";

async function sql(machine: Asked, text: string): Promise<string> {
  const psql = ["psql", "-AtXq", "--set=ON_ERROR_STOP=1", "guestbook", "-c", text];
  return await machine.succeed(["runuser", "-u", "postgres", "--", ...psql]);
}

async function stateOf(machine: Asked): Promise<GuestbookState> {
  return { files: await machine.succeed(files), rows: await sql(machine, rows) };
}

/** Fills a guestbook, and backs it up. Gives what it is then, and its host key. */
export async function fillGuestbook(machine: Asked): Promise<GuestbookState & { readonly key: string }> {
  await machine.succeed("install -d -o www-data -g www-data -m 0750 /srv/guestbook/pictures");
  await machine.succeed(
    "head -c 20000000 /dev/urandom > /srv/guestbook/pictures/large; echo hello > '/srv/guestbook/a file'",
  );
  await machine.succeed("chown www-data:www-data /srv/guestbook/pictures/large");
  await machine.succeed(["runuser", "-u", "postgres", "--", "createuser", "writer"]);
  await machine.succeed(["runuser", "-u", "postgres", "--", "createdb", "--owner", "writer", "guestbook"]);
  await sql(
    machine,
    "SET ROLE writer; CREATE TABLE entry (id serial PRIMARY KEY, text text NOT NULL); INSERT INTO entry (text) SELECT 'entry ' || n FROM generate_series(1, 5000) n",
  );
  await machine.succeed("systemctl start imgbuild-backup.service", { withinSeconds: 240 });
  await machine.succeed("imgbuild-backup list", { withinSeconds: 120 });
  await machine.succeed("imgbuild-backup check", { withinSeconds: 120 });
  const key = `${await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key")}\n`;
  return { ...(await stateOf(machine)), key };
}

/** Fails unless it is what it was; adds a row, and backs up again. */
export async function compareGuestbook(
  machine: Asked,
  { key, ...before }: GuestbookState & { readonly key: string },
): Promise<void> {
  const now = await stateOf(machine);
  for (const name of ["files", "rows"] as const)
    if (now[name] !== before[name]) throw new Error(`${name} were\n${before[name]}\nand are\n${now[name]}`);
  if ((await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key")).trim() !== key.trim())
    throw new Error("another host key");
  const id = (await machine.succeed("cat /etc/machine-id")).trim();
  if (id !== machineIdOfBefore) throw new Error(`the machine-id is ${id}`);
  // The next number of a sequence, and what a backup of the new machine would be.
  await sql(machine, "INSERT INTO entry (text) VALUES ('after')");
  if ((await sql(machine, "SELECT max(id) FROM entry")).trim() !== "5001")
    throw new Error("the sequence starts anew");
  await machine.succeed("systemctl start imgbuild-backup.service", { withinSeconds: 240 });
}
