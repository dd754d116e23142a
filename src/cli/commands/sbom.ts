import { writeFile } from "node:fs/promises";
import { Option } from "commander";
import { requireParent } from "../../system/files/parent.ts";
import { during } from "../../util/fail.ts";
import type { AddCommand } from "../terminal/context.ts";
import { defHelp } from "../terminal/options.ts";

const tool = "imgbuild";
const formats = ["spdx", "cyclonedx"] as const;

interface Options {
  readonly format: (typeof formats)[number];
  readonly output?: string;
}

export const sbomCommand: AddCommand = (program, act) => {
  program
    .command("sbom")
    .description("what a definition's lock holds, as SPDX 2.3 or CycloneDX 1.6 JSON")
    .argument("<DEF>", defHelp)
    .addOption(new Option("--format <FORMAT>", "form of the document").choices(formats).default("spdx"))
    .option("-o, --output <FILE>", "a file instead of stdout")
    .action((path: string, options: Options) =>
      act(async (cli) => {
        const { openDefinition } = await import("../../operator/lock/open-definition.ts");
        const { cycloneDxOf } = await import("../../debian/sbom/cyclonedx.ts");
        const { spdxOf } = await import("../../debian/sbom/spdx.ts");
        const { format, output } = options;
        if (output !== undefined) await requireParent(output);
        const { spec, lock } = await openDefinition(path);
        const version = program.version() ?? "";
        const about = { name: spec.hostname, tool, version };
        const document =
          format === "spdx"
            ? spdxOf(lock, { ...about, tool: `${tool}-${version}` })
            : cycloneDxOf(lock, about);
        if (output === undefined)
          for (const line of JSON.stringify(document, null, 2).split("\n")) cli.print(line);
        else
          await during(`writing ${output}`, () =>
            writeFile(output, `${JSON.stringify(document, null, 2)}\n`),
          );
        cli.emit({ event: "done", format, ...(output === undefined ? { document } : { file: output }) });
      }),
    );
};
