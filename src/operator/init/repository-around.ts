import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { parseDocument } from "yaml";
import { writeWhole } from "../../system/files/write-whole.ts";
import { Fail } from "../../util/fail.ts";
import { hostRecords, isHostName } from "../definition/host-records.ts";

/** What a server has for itself in a repository of several; the rest is there. */
const own = /^(IMGBUILD(\.test)?\.ts|authorized_keys|secrets\/.*)$/;

/** A repository with a hosts.yaml, to which a server is added. */
interface RepositoryAround {
  readonly name: string;
  ownFiles(all: ReadonlyMap<string, string>): ReadonlyMap<string, string>;
  /** Enters the server into hosts.yaml, whose comments stay; gives the file. */
  addRecord(address: string | undefined): Promise<string>;
}

/** The one that a new directory is in; undefined where it is none's. */
export async function repositoryAround(directory: string): Promise<RepositoryAround | undefined> {
  const place = resolve(directory);
  let above = dirname(place);
  while (!existsSync(above)) above = dirname(above);
  const found = await hostRecords(above);
  if (found === undefined) return undefined;
  const { file, hosts } = found;
  const name = basename(place);
  if (!isHostName(name))
    throw new Fail(`${name} cannot be the name of a host in ${file}`, {
      hint: "name a directory by lower-case letters, digits and dashes",
    });
  if (hosts.some((host) => host.name === name))
    throw new Fail(`${name} is a host of ${file} already`, { hint: "name another directory" });
  return {
    name,
    ownFiles: (all) => new Map([...all].filter(([path]) => own.test(path))),
    async addRecord(address) {
      const document = parseDocument(await readFile(file, "utf8"));
      const definition = relative(dirname(file), place);
      document.setIn(["hosts", name], {
        ...(definition === join("hosts", name) ? {} : { definition }),
        ...(address === undefined ? {} : { address }),
      });
      await writeWhole(file, document.toString({ lineWidth: 0 }), 0o644);
      return file;
    },
  };
}
