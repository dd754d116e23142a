import { resolve } from "node:path";
import { exitCodes, Fail } from "../../../util/fail.ts";
import type { AddCommand, Cli } from "../../terminal/context.ts";
import { defHelp } from "../../terminal/options.ts";

const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

export const storeCommand: AddCommand = (program, act) => {
  const store = program.command("store").description("a directory that keeps the packages of locks");
  for (const add of [addAdd, addVerify, addGc, addKey]) add(store, act);
};

const addAdd: AddCommand = (store, act) => {
  store
    .command("add")
    .description("put every package of locks, and of the base that builds, into a store")
    .argument("<DEF...>", defHelp)
    .option("--store <DIR>", "the store's directory, made where it does not exist (or IMGBUILD_STORE)")
    .action((paths: string[], options: { store?: string }) =>
      act(async (cli) => {
        const dir = directoryOf(options.store, cli);
        const { fillStore, withBase } = await import("../../../operator/store/fill-store.ts");
        const { openDefinition } = await import("../../../operator/lock/open-definition.ts");
        const definitions = await Promise.all(paths.map((path) => openDefinition(path, { log: cli.log })));
        const all = await withBase(definitions);
        const filled = await cli.log.task("filling the store", (log) => fillStore(all, dir, { ...cli, log }));
        cli.print(`${dir}: ${filled.packages} packages, ${filled.added} of them new (${mib(filled.bytes)})`);
        cli.print(`signed by ${filled.publicKey}`);
        cli.emit({ event: "done", directory: dir, ...filled });
      }),
    );
};

const addVerify: AddCommand = (store, act) => {
  store
    .command("verify")
    .description("check the signature of a store's index, and each package by size and SHA-256")
    .argument("<DIR>", "the store's directory")
    .option("--key <KEY>", "the public key that must have signed it (default: your own)")
    .action((dir: string, options: { key?: string }) =>
      act(async (cli) => {
        const { verifyStore } = await import("../../../operator/store/verify-store.ts");
        const { publicStoreKey } = await import("../../../operator/store/store-key.ts");
        const key = options.key ?? (await publicStoreKey(cli.env));
        if (key === undefined)
          throw new Fail("there is no key of yours to check the index by", {
            hint: "name the store's with --key ed25519:…",
          });
        const { index, bytes, unlisted } = await cli.log.task("reading the store", (log) =>
          verifyStore(dir, key, { ...cli, log }),
        );
        const { length: packages } = index.packages;
        cli.print(`${dir}: ${packages} packages, ${mib(bytes)}, all as the index of ${index.date} says`);
        if (unlisted.length > 0)
          cli.print(`${unlisted.length} files are not in the index: \`imgbuild store gc\` removes them`);
        cli.emit({
          event: "done",
          directory: dir,
          packages,
          bytes,
          date: index.date,
          unlisted: unlisted.length,
        });
      }),
    );
};

const addGc: AddCommand = (store, act) => {
  store
    .command("gc")
    .description("remove the packages that none of the named locks needs")
    .argument("<DIR>", "the store's directory")
    .requiredOption("--keep <DEF...>", "definitions, or files of locks (.yaml), whose packages stay")
    .option("--dry-run", "only say what would go")
    .action((dir: string, options: { keep: string[]; dryRun?: boolean }) =>
      act(async (cli) => {
        const { locksOf, thinStore } = await import("../../../operator/store/thin-store.ts");
        const dryRun = options.dryRun === true;
        const { kept, removed, freed } = await thinStore(dir, await locksOf(options.keep), {
          ...cli,
          dryRun,
        });
        const word = dryRun ? "would be removed" : "removed";
        cli.print(`${dir}: ${removed} files ${word} (${mib(freed)}), ${kept} packages stay`);
        cli.emit({ event: "done", directory: dir, kept, removed, freed, dryRun });
      }),
    );
};

const addKey: AddCommand = (store, act) => {
  store
    .command("key")
    .description("print the public key that signs your stores; the key is made where there is none")
    .action(() =>
      act(async (cli) => {
        const { storeKey } = await import("../../../operator/store/store-key.ts");
        const { file, publicKey } = await storeKey(cli.env);
        cli.print(publicKey);
        cli.log.info(`${file} holds the private key; keep a copy of it beside that of your identity`);
        cli.emit({ event: "done", file, publicKey });
      }),
    );
};

/** The option, or the first directory that the environment names. */
function directoryOf(option: string | undefined, { env }: Cli): string {
  const named = option ?? (env.IMGBUILD_STORE ?? "").split(",")[0];
  if (named === undefined || named === "")
    throw new Fail("no store is named", {
      hint: "give --store DIR, or set IMGBUILD_STORE",
      exitCode: exitCodes.usage,
    });
  if (/^https?:/.test(named))
    throw new Fail(`${named} is no directory: a store is filled where its files are`, {
      hint: "give --store DIR on the machine that serves it, or copy the directory there",
      exitCode: exitCodes.usage,
    });
  return resolve(named.replace(/^file:\/\//, ""));
}
