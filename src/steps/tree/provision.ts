import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { z } from "zod";
import { Provision } from "../../schema/tree-edits.ts";
import type { Bind } from "../../system/door/chroot.ts";
import { plainEnv } from "../../system/run/run.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { redacted } from "../../util/redacted.ts";
import { defineStep } from "../step/step.ts";

/** Where a script sees itself and its inputs. */
const inside = "/run/imgbuild/provision";
/** Lines of its output that a failure shows. */
const shownLines = 40;
const resolver = "/etc/resolv.conf";

/**
 * Runs a script of the definition in the tree, in the sandbox as every program of it: with the tree as its root, its declared inputs and
 * nothing else of the machine that builds; without a network, unless it asks for one. What it starts ends with it.
 */
export const provision = defineStep({
  kind: "provision",
  summary: "run a script of the definition in the tree",
  schema: z.strictObject({ ...Provision.shape, epoch: z.int().positive() }),
  run: async ({ name, script, values, files, network, timeoutSeconds, epoch }, context) => {
    const { root, signal } = context;
    const outside = await mkdtemp(join(tmpdir(), "imgbuild-provision-"));
    const tail: string[] = [];
    try {
      await writeInputs(outside, { script, files });
      const binds: Bind[] = [{ from: outside, to: inside, readOnly: true }];
      if (network) binds.push(...(await resolverBind(root)));
      await context.chroot([...interpreterOf(script), `${inside}/script`], {
        binds,
        network,
        bare: true,
        env: {
          ...plainEnv,
          TZ: "UTC",
          HOME: "/root",
          SOURCE_DATE_EPOCH: String(epoch),
          IMGBUILD_INPUTS: `${inside}/files`,
          ...values,
        },
        timeoutMs: timeoutSeconds * 1000,
        onLine: (line) => {
          tail.push(line);
          if (tail.length > shownLines) tail.shift();
        },
        shown: [name],
        signal,
      });
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      const [how = ""] = error.message.split("\n");
      const hint = network ? error.hint : (hintOf(tail) ?? error.hint);
      throw new Fail(redacted([`the script ${how}`, ...tail].join("\n")), hint === undefined ? {} : { hint });
    } finally {
      await rm(outside, { recursive: true, force: true });
    }
  },
});

async function writeInputs(
  to: string,
  { script, files }: Pick<z.output<typeof Provision>, "script" | "files">,
): Promise<void> {
  await writeFile(join(to, "script"), script, { mode: 0o755 });
  await mkdir(join(to, "files"));
  for (const [path, content] of Object.entries(files)) {
    const full = join(to, "files", path);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, typeof content === "string" ? content : Buffer.from(content.base64, "base64"));
  }
}

/** As the kernel reads `#!`: the interpreter, and the rest of the line as one argument. Named, since files may be on a noexec disk. */
function interpreterOf(script: string): string[] {
  const [, interpreter = "", argument] = /^#!\s*(\S+)(?:[ \t]+(.*\S))?\s*\n/.exec(script) ?? [];
  return argument === undefined ? [interpreter] : [interpreter, argument];
}

/** The name servers of the machine that builds, where the tree's programs look for theirs. */
export async function resolverBind(root: string): Promise<Bind[]> {
  const from = await realpath(resolver).catch(() => undefined);
  if (from === undefined) return [];
  const link = new Tree(root).link(resolver);
  const to = link === undefined ? resolver : posix.resolve("/etc", link);
  return [{ from, to, readOnly: true }];
}

function hintOf(tail: readonly string[]): string | undefined {
  const words =
    /network is unreachable|name resolution|could not resolve|name or service not known|cannot assign requested address/i;
  return tail.some((line) => words.test(line))
    ? "a script has no network unless it says `network: true`"
    : undefined;
}
