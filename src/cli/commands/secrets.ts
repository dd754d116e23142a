import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { RevealOptions, SecretKeys } from "../../operator/secrets/secrets.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";
import { defHelp, secretOptions } from "../terminal/options.ts";
import { newPassphrase } from "../terminal/passphrase.ts";
import { addSendIdentity } from "./recover/send-identity.ts";

/** Memory, not a disk: where plain text is while somebody edits it. */
const memoryDir = "/dev/shm";
const maxStdinBytes = 1024 * 1024;

export const secretsCommand: AddCommand = (program, act) => {
  const secrets = program
    .command("secrets")
    .description("show, edit and re-encrypt age files, and send what opens them");
  for (const add of [addKeygen, addShow, addEdit, addRekey, addCheck, addSendIdentity]) add(secrets, act);
};

const addKeygen: AddCommand = (secrets, act) => {
  secrets
    .command("keygen")
    .description(
      "make an age identity, which opens secrets, and print its recipient, for which they are encrypted",
    )
    .argument(
      "[FILE]",
      "the file to make (default: ~/.config/imgbuild/identity.txt, which is used without being named)",
    )
    .option("--passphrase", "encrypt the identity with a passphrase")
    .action((given: string | undefined, options: { passphrase?: boolean }) =>
      act(async (cli) => {
        const { defaultIdentity, makeIdentity } = await import("../../operator/secrets/default-identity.ts");
        const file = given === undefined ? defaultIdentity(cli.env) : resolve(given);
        if (file === undefined)
          throw new Fail("there is no home to keep an identity in", { hint: "name a file" });
        const passphrase = options.passphrase === true ? await newPassphrase(cli) : undefined;
        const recipient = await makeIdentity(file, passphrase);
        cli.print(recipient);
        cli.log.info(
          `${file} is written; keep a copy of it in another place: without it no secret can be opened`,
        );
        cli.emit({ event: "done", file, recipient });
      }),
    );
};

const addShow: AddCommand = (secrets, act) => {
  secretOptions(
    secrets.command("show").description("print the plain text").argument("<FILE>", "an .age file"),
  ).action((file: string, options: RevealOptions) =>
    act(async (cli) => {
      const { showSecret } = await operations();
      const secret = await showSecret(resolve(file), await secretKeys(options, cli));
      if (cli.json)
        cli.emit({ event: "secret", file, base64: Buffer.from(secret.expose()).toString("base64") });
      else process.stdout.write(secret.expose());
    }),
  );
};

const addEdit: AddCommand = (secrets, act) => {
  secretOptions(
    secrets
      .command("edit")
      .description("write an age file anew, in $EDITOR or from stdin, for the recipients named beside it")
      .argument("<FILE>", "an .age file, existing or not"),
  ).action((file: string, options: RevealOptions) =>
    act(async (cli) => {
      const edit =
        process.stdin.isTTY === true
          ? (present: Present) => inEditor(present, cli)
          : () => readStdin(cli.signal);
      const { editSecret } = await operations();
      const changed = await editSecret(resolve(file), await secretKeys(options, cli), edit);
      cli.print(changed ? `${file} is written` : `${file} is unchanged`);
      cli.emit({ event: "done", file, changed });
    }),
  );
};

const addRekey: AddCommand = (secrets, act) => {
  secretOptions(
    secrets
      .command("rekey")
      .description("encrypt all age files of a directory to the recipients that it names now")
      .argument("<DIR>", "a directory with a file `recipients`"),
  ).action((dir: string, options: RevealOptions) =>
    act(async (cli) => {
      const { rekeySecrets } = await operations();
      const { rekeyed, kept } = await rekeySecrets(resolve(dir), await secretKeys(options, cli));
      for (const path of rekeyed) cli.print(`rekeyed ${path}`);
      for (const path of kept) cli.print(`left as it is, a passphrase opens it: ${path}`);
      cli.emit({ event: "done", rekeyed, kept });
    }),
  );
};

const addCheck: AddCommand = (secrets, act) => {
  secretOptions(
    secrets
      .command("check")
      .description("try to open every secret of a definition")
      .argument("<DEF>", defHelp),
  ).action((path: string, options: RevealOptions) =>
    act(async (cli) => {
      const { loadDefinition } = await import("../../operator/definition/load.ts");
      const { checkSecrets } = await operations();
      const results = await checkSecrets(await loadDefinition(path), await secretKeys(options, cli));
      for (const { name, file, problem } of results) {
        cli.print(
          `${problem === undefined ? "ok     " : "FAILED "} ${name} (${file})${problem ? `: ${problem.message}` : ""}`,
        );
        cli.emit({ event: "check", name, file, ok: problem === undefined, message: problem?.message });
      }
      const failed = results.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
      if (failed[0] !== undefined)
        throw new Fail(
          `${failed.length} of ${results.length} secrets cannot be opened`,
          failed[0].hint === undefined ? {} : { hint: failed[0].hint },
        );
    }),
  );
};

/** Identities of the options, else of IMGBUILD_IDENTITY; a passphrase is asked for only with --passphrase. */
async function secretKeys(options: RevealOptions, cli: Cli): Promise<SecretKeys> {
  const { identityFiles } = await operations();
  return {
    identityFiles: options.identity ?? identityFiles({}, cli.env),
    passphrase:
      options.passphrase === true ? (of: string) => cli.askSecret(`Passphrase of ${of}: `) : undefined,
  };
}

async function operations() {
  return await import("../../operator/secrets/secrets.ts");
}

type Present = (() => Promise<Secret>) | undefined;

async function inEditor(present: Present, cli: Cli): Promise<Uint8Array> {
  const editor = cli.env.VISUAL ?? cli.env.EDITOR;
  if (editor === undefined || editor === "")
    throw new Fail("no editor is set", { hint: "set EDITOR, or give the new plain text on stdin" });
  const before = (await present?.())?.expose() ?? new Uint8Array();
  // Mode 0700, for the editor's own swap and backup files too.
  const dir = await mkdtemp(join(memoryDir, "imgbuild-")).catch((error: unknown) => {
    throw new Fail(`no memory to edit in: ${messageOf(error)}`, {
      cause: error,
      hint: "give the new plain text on stdin",
    });
  });
  try {
    const file = join(dir, "secret");
    await writeFile(file, before, { mode: 0o600, flag: "wx" });
    // $EDITOR may hold options, which only a shell can tell apart; the path is passed beside it.
    const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], {
      stdio: "inherit",
      env: { ...cli.env },
    });
    const [code] = (await once(child, "exit", { signal: cli.signal })) as [number | null];
    if (code !== 0) throw new Fail(`the editor ended with ${code ?? "a signal"}; nothing was changed`);
    return await readFile(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function readStdin(signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    signal.throwIfAborted();
    size += (chunk as Buffer).length;
    if (size > maxStdinBytes) throw new Fail(`stdin has more than ${maxStdinBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  if (size === 0)
    throw new Fail("stdin is empty; nothing was changed", { hint: "pipe the new plain text in" });
  return Buffer.concat(chunks);
}
