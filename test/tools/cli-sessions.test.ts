import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { generateIdentity } from "../helpers/builders/identity.ts";
import { imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { environment, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const timeoutMs = 120_000;

/** One command after another; each must end well. */
function session(env: Readonly<Record<string, string>>) {
  return async (...args: string[]): Promise<string> => {
    const ran: Ran = await imgbuild(args, { env: { ...environment, ...env }, timeoutMs });
    expect(ran.code, `${args.join(" ")}\n${ran.stderr}`).toBe(0);
    return ran.stdout;
  };
}

it("secrets are written in an editor, shown, checked, and opened by another's key after a rekey", async () => {
  const dir = tempDir();
  const inMemory = readdirSync("/dev/shm");
  const [mine, other] = [await generateIdentity(), await generateIdentity()];
  for (const [name, { identity }] of Object.entries({ mine, other }))
    writeFileSync(join(dir, name), `${identity}\n`, { mode: 0o600 });
  writeFileSync(join(dir, "recipients"), `${mine.recipient}\n`);
  const editor = join(dir, "editor");
  writeFileSync(editor, '#!/bin/sh\nprintf \'was: %s\' "$(cat "$1")" > "$1.new"\nmv "$1.new" "$1"\n', {
    mode: 0o755,
  });
  const file = join(dir, "token.age");
  const env = { IMGBUILD_IDENTITY: join(dir, "mine"), EDITOR: editor };
  const cli = session(env);

  // An editor is started on a terminal only.
  const edit = async () =>
    await run(
      ["script", "--quiet", "--return", "--command", `${program} secrets edit ${file}`, "/dev/null"],
      {
        env: { ...environment, ...env },
        timeoutMs,
      },
    );
  expect((await edit()).stdout).toContain(`${file} is written`);
  expect(await cli("secrets", "show", file)).toBe("was: ");
  await edit();
  expect(await cli("secrets", "show", file)).toBe("was: was: ");

  writeFileSync(join(dir, "recipients"), `${mine.recipient}\n${other.recipient}\n`);
  expect(await cli("secrets", "rekey", dir)).toBe(`rekeyed ${file}\n`);
  expect(await cli("secrets", "show", file, "--identity", join(dir, "other"))).toBe("was: was: ");

  writeFileSync(
    join(dir, "IMGBUILD.ts"),
    'export default { hostname: "web", secrets: { token: { file: "token.age", path: "/etc/token" } } };\n',
  );
  expect(await cli("secrets", "check", dir)).toMatch(/^ok {6}token \(.*token\.age\)\n$/);
  // Nothing of it is left where it was edited.
  expect(
    readdirSync("/dev/shm").filter((name) => name.startsWith("imgbuild-") && !inMemory.includes(name)),
  ).toEqual([]);
});

it("a cache is shown and cleared, a dry run first", async () => {
  const dir = tempDir();
  const packages = join(dir, "packages");
  mkdirSync(packages);
  const file = `${"a".repeat(64)}.deb`;
  writeFileSync(join(packages, file), Buffer.alloc(2 ** 20));
  const cli = session({ IMGBUILD_CACHE: dir });

  const shown = await cli("cache", "show");
  expect(shown).toMatch(/^packages +1 +1\.0 MiB {2}\d{4}-\d\d-\d\d$/m);
  expect(shown).toMatch(/^total +1 +1\.0 MiB/m);
  expect(await cli("cache", "gc", "--max-size", "0", "--dry-run")).toMatch(
    /^would remove 1 packages \(1\.0 MiB\)$/m,
  );
  expect(readdirSync(packages)).toEqual([file]);
  expect(await cli("cache", "gc", "--max-size", "0")).toMatch(/^freed 1\.0 MiB; 0\.0 MiB are left$/m);
  expect(readdirSync(packages)).toEqual([]);
});

it("a plan is printed for no host, with the commands of its steps where they are asked for", async () => {
  const cli = session({});
  const plan = await cli("plan", "imgbuild/web");
  expect(plan).toMatch(/^definition [0-9a-f]{32,64}$/m);
  expect(plan).toContain("partitioning system");
  expect(plan).not.toContain("sfdisk");
  const commands = await cli("plan", "imgbuild/web", "--commands");
  expect(commands).toContain("sfdisk");
  expect(commands).toContain("mkfs.vfat");
});
