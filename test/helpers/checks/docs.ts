import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A fenced block of the documentation. */
export interface DocBlock {
  /** "README.md:13" */
  readonly place: string;
  readonly language: string;
  readonly text: string;
  /** Where it belongs in the repository that its page shows, as its first line says: `// shared/server.ts`. */
  readonly path?: string;
}

export const docs = ["README.md", ...readdirSync("docs").map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);

export function docBlocks(): DocBlock[] {
  return docs.flatMap((file) => {
    const text = readFileSync(file, "utf8");
    return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => {
      const path = /^(?:\/\/|#) ([\w./-]+\.(?:ts|yaml))\n/.exec(match[2]!)?.[1];
      return {
        place: `${file}:${text.slice(0, match.index).split("\n").length}`,
        language: match[1]!,
        text: match[2]!,
        ...(path === undefined ? {} : { path }),
      };
    });
  });
}

/** Code in running text, with its place; tables included. */
export function docSpans(): { readonly place: string; readonly text: string }[] {
  return docs.flatMap((file) => {
    const blank = (block: string) => block.replace(/[^\n]/g, " ");
    const text = readFileSync(file, "utf8").replace(/^```[\s\S]*?^```$/gm, blank);
    return [...text.matchAll(/`([^`\n]+)`/g)].map((match) => ({
      place: `${file}:${text.slice(0, match.index).split("\n").length}`,
      text: match[1]!.replaceAll("\\|", "|"),
    }));
  });
}

const names = readFileSync("src/dsl/index.ts", "utf8");
const functions = [...names.matchAll(/^export \{([^}]+)\}/gm), ...names.matchAll(/^export function (\w+)/gm)]
  .flatMap((match) => match[1]!.split(","))
  .map((name) => name.trim())
  .filter((name) => name !== "");

/** What a part of a definition is shown within. */
const around = `
  hostname: "docs",
  packages: { install: ["apt", "openssh-server", "sudo", "systemd-resolved"] },
  storage: { disks: { system: disk({ match: { serial: "S" }, table: gpt(biosBoot(), esp(), root()) }) } },
  boot: { firmware: ["uefi"] },
  users: { admin: { keys: ["ssh-ed25519 AAAA docs"] } },
  secrets: { "disk-key": { file: "disk-key.age" } },
`;

/**
 * A TypeScript block as a module: a whole one as it is; fields of a definition, or a partition, within a definition; what awaits
 * something within a test.
 */
export function moduleOf({ text }: DocBlock): {
  readonly kind: "definition" | "test";
  readonly code: string;
} {
  if (/^import .*"imgbuild\/testing"/m.test(text)) return { kind: "test", code: text };
  if (/^export default/m.test(text)) return { kind: "definition", code: text };
  if (/^await /.test(text))
    return {
      kind: "test",
      code: `import type { Machine } from "imgbuild/testing";\nexport async function shown(client: Machine, machine: Machine) {\nvoid machine;\n${text}}\n`,
    };
  const head = `import { ${functions.join(", ")} } from "imgbuild";\n`;
  const fields = /^[a-z]\w*:/.test(text)
    ? text
    : `storage: { disks: { system: disk({ match: { serial: "S" }, table: gpt(biosBoot(), esp(), root({ size: "2GiB" }),\n${text.trimEnd()}) }) } },\n`;
  const body = `type Input = Parameters<typeof image>[0];\nconst around: Input = {${around}};\nconst shown: Partial<Input> = {\n${fields}};\nexport default image({ ...around, ...shown });\n`;
  return { kind: "definition", code: `${head}${body}` };
}

/** Writes the repository that the blocks of one page show. */
export function writeRepository(directory: string, blocks: readonly DocBlock[]): void {
  for (const { path, text } of blocks) {
    mkdirSync(dirname(join(directory, path!)), { recursive: true });
    writeFileSync(join(directory, path!), text);
    writeRead(join(directory, "hosts/any"), text);
  }
}

const contents: readonly (readonly [RegExp, string])[] = [
  [/(\.pub|authorized_keys)$/, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDocs docs\n"],
  [/\.asc$/, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"],
  [/\.pem$/, "-----BEGIN CERTIFICATE-----\n"],
  [/\.diff$/, "--- a/etc/adduser.conf\n+++ b/etc/adduser.conf\n@@ -1 +1 @@\n-a\n+b\n"],
  [/\.sh$/, "#!/bin/sh\n"],
  [/\.conf$/, "listen {{port}}; server_name {{name}};\n"],
  [/./, "x\n"],
];

/** Writes a block's module into a directory, with files of the names that it reads. */
export function writeModule(directory: string, code: string): void {
  mkdirSync(directory, { recursive: true });
  writeRead(directory, code);
  writeFileSync(join(directory, "IMGBUILD.ts"), code);
}

/** What the functions of a definition in `directory` read. */
function writeRead(directory: string, code: string): void {
  for (const [, name] of code.matchAll(
    /\b(?:readLines|readText|readBase64|patch|script|template)\(\s*"([^"]+)"/g,
  )) {
    mkdirSync(dirname(join(directory, name!)), { recursive: true });
    writeFileSync(join(directory, name!), contents.find(([form]) => form.test(name!))![1]);
  }
}
