import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { postgresPrograms } from "../../src/operator/native/doctor.ts";
import { databaseCommands } from "../../src/operator/settings/backup-script.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** A server of PostgreSQL of its own, which no network reaches. */
async function server(): Promise<{
  sql(text: string, database?: string): string;
  bash(command: string, stdin?: Buffer): Buffer;
}> {
  const directory = tempDir();
  const own = ["-u", "postgres", "--"];
  execFileSync("chown", ["postgres", directory]);
  const programs = postgresPrograms.find((path) => existsSync(join(path, "initdb")))!;
  const cluster = join(directory, "cluster");
  const initdb = [join(programs, "initdb"), "--auth=peer", "--no-sync", "--pgdata", cluster];
  execFileSync("runuser", [...own, ...initdb], { stdio: "pipe", cwd: "/" });
  const argv = [
    join(programs, "postgres"),
    "-D",
    cluster,
    "-k",
    directory,
    "-c",
    "listen_addresses=",
    "-c",
    "fsync=off",
  ];
  const child = spawn("runuser", [...own, ...argv], { stdio: "ignore", cwd: "/" });
  onTestFinished(async () => {
    execFileSync("kill", ["-INT", readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n")[0]!]);
    await new Promise((resolve) => child.once("exit", resolve));
  });
  for (let left = 100; !existsSync(join(directory, ".s.PGSQL.5432")); left -= 1) {
    if (left === 0) throw new Error("PostgreSQL did not start");
    await sleep(100);
  }
  const env = { ...process.env, PGHOST: directory };
  return {
    sql: (text, database = "postgres") => {
      const psql = ["psql", "-AtXq", "--set=ON_ERROR_STOP=1", "--dbname", database, "--command", text];
      return execFileSync("runuser", [...own, ...psql], { env, cwd: "/" }).toString();
    },
    bash: (command, stdin) =>
      execFileSync("bash", ["-euo", "pipefail", "-c", command], {
        env,
        maxBuffer: 2 ** 24,
        ...(stdin === undefined ? {} : { input: stdin }),
      }),
  };
}

describe("a database of PostgreSQL", () => {
  it("comes back on another server with its owner, whatever was there, and a second time", async () => {
    const [old, fresh] = [await server(), await server()];
    const { dump, load } = databaseCommands({ databases: [{ postgresql: "my-app", before: [] }] })[0]!;
    old.sql(`create role "app user" login password 'secret'`);
    old.sql(`create database "my-app" owner "app user"`);
    old.sql(
      `create table notes (id int primary key, text text); alter table notes owner to "app user"`,
      "my-app",
    );
    old.sql("insert into notes select n, 'note ' || n from generate_series(1, 1000) n", "my-app");
    const dumped = old.bash(dump);

    // A package has made an empty one.
    fresh.sql('create database "my-app"');
    const sums = "select count(*), md5(string_agg(text, ',' order by id)) from notes";
    for (const _ of [1, 2]) {
      fresh.bash(load, dumped);
      expect(fresh.sql(sums, "my-app")).toBe(old.sql(sums, "my-app"));
    }
    const owners =
      "select rolname from pg_roles r join pg_class c on c.relowner = r.oid where relname = 'notes'";
    expect(fresh.sql(owners, "my-app")).toBe("app user\n");
    const hash = "select rolpassword from pg_authid where rolname = 'app user'";
    expect(fresh.sql(hash)).toBe(old.sql(hash));
    // A statement that fails ends it: what is only half there is not taken for the database.
    expect(() => fresh.bash(load, Buffer.from("select 1/0;\n"))).toThrow();
  });
});
