import { exitCodes, Fail } from "../../../util/fail.ts";
import type { AddCommand, Cli } from "../../terminal/context.ts";
import { defHelp } from "../../terminal/options.ts";

const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

export const storeCommand: AddCommand = (program, act) => {
  const store = program
    .command("store")
    .description("a directory or registry that keeps the packages of locks");
  for (const add of [addAdd, addVerify, addGc, addKey]) add(store, act);
};

const addAdd: AddCommand = (store, act) => {
  store
    .command("add")
    .description("put every package of locks, and of the base that builds, into a store")
    .argument("<DEF...>", defHelp)
    .option(
      "--store <DIR>",
      "its directory, made where it does not exist, or oci://REGISTRY/NAME (or IMGBUILD_STORE)",
    )
    .action((paths: string[], options: { store?: string }) =>
      act(async (cli) => {
        const where = storeOf(options.store, cli);
        const { fillStore, withBase } = await import("../../../operator/store/fill-store.ts");
        const { openDefinition } = await import("../../../operator/lock/open-definition.ts");
        const definitions = await Promise.all(paths.map((path) => openDefinition(path, { log: cli.log })));
        const all = await withBase(definitions);
        const filled = await cli.log.task("filling the store", (log) =>
          fillStore(all, where, { ...cli, log }),
        );
        cli.print(
          `${where}: ${filled.packages} packages, ${filled.added} of them new (${mib(filled.bytes)})`,
        );
        cli.print(`signed by ${filled.publicKey}`);
        cli.emit({ event: "done", directory: where, ...filled });
      }),
    );
};

const addVerify: AddCommand = (store, act) => {
  store
    .command("verify")
    .description("check the signature of a store's index, and each package by size and SHA-256")
    .argument("<DIR>", "its directory, or oci://REGISTRY/NAME")
    .option("--key <KEY>", "the public key that must have signed it (default: your own)")
    .action((where: string, options: { key?: string }) =>
      act(async (cli) => {
        const { verifyStore } = await import("../../../operator/store/verify-store.ts");
        const { publicStoreKey } = await import("../../../operator/store/store-key.ts");
        const key = options.key ?? (await publicStoreKey(cli.env));
        if (key === undefined)
          throw new Fail("there is no key of yours to check the index by", {
            hint: "name the store's with --key ed25519:…",
          });
        const { index, bytes, unlisted } = await cli.log.task("reading the store", (log) =>
          verifyStore(where, key, { ...cli, log }),
        );
        const { length: packages } = index.packages;
        cli.print(`${where}: ${packages} packages, ${mib(bytes)}, all as the index of ${index.date} says`);
        if (unlisted.length > 0)
          cli.print(`${unlisted.length} files are not in the index: \`imgbuild store gc\` removes them`);
        cli.emit({
          event: "done",
          directory: where,
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
    .argument("<DIR>", "its directory, or oci://REGISTRY/NAME")
    .requiredOption("--keep <DEF...>", "definitions, or files of locks (.yaml), whose packages stay")
    .option("--dry-run", "only say what would go")
    .action((where: string, options: { keep: string[]; dryRun?: boolean }) =>
      act(async (cli) => {
        const { locksOf, thinStore } = await import("../../../operator/store/thin-store.ts");
        const dryRun = options.dryRun === true;
        const { kept, removed, freed } = await thinStore(where, await locksOf(options.keep), {
          ...cli,
          dryRun,
        });
        const word = dryRun ? "would be removed" : "removed";
        cli.print(`${where}: ${removed} files ${word} (${mib(freed)}), ${kept} packages stay`);
        cli.emit({ event: "done", directory: where, kept, removed, freed, dryRun });
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

/** The option, or the first that the environment names. */
function storeOf(option: string | undefined, { env }: Cli): string {
  const named = option ?? (env.IMGBUILD_STORE ?? "").split(",")[0];
  if (named !== undefined && named !== "") return named;
  throw new Fail("no store is named", {
    hint: "give --store DIR, or set IMGBUILD_STORE",
    exitCode: exitCodes.usage,
  });
}
