import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { breakages } from "../helpers/builders/breakages.ts";
import { fullDefinitions } from "../helpers/builders/full-definitions.ts";
import { literalText } from "../helpers/builders/literal-text.ts";
import { faultOf } from "../helpers/checks/answers.ts";
import { imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { environment, expectFail } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** The same definitions are broken in the same ways in the unit tests, by the hundred. */
const seed = Number(process.env.IMGBUILD_SEED ?? 1);
const count = 20;

const locked = (dir: string): Promise<Ran> =>
  imgbuild(["lock", dir, "--offline"], {
    env: { ...environment, IMGBUILD_CACHE: join(dir, "cache") },
    timeoutMs: 120_000,
  });
/** What the command line says, less what it puts before each line. */
const messageOf = ({ stderr }: Ran) =>
  (/^error: ([\s\S]*?)(?:\n {2}hint: |$)/m.exec(stderr)?.[1] ?? stderr).trimEnd().replaceAll("\n    ", "\n");

describe("a definition with one thing broken", () => {
  it.each(Object.entries(fullDefinitions))(
    "is answered by the command line with its place and what is accepted: %s",
    async (name, input) => {
      const dir = tempDir();
      const file = join(dir, "IMGBUILD.ts");
      let refused = 0;
      for (const breakage of breakages(input, count, seed)) {
        const written = literalText(breakage.value, "export default ", ";\n");
        writeFileSync(file, written.text);
        const ran = await locked(dir);
        expect([0, 1], `${breakage.what}\n${ran.stderr}`).toContain(ran.code);
        // A good one would be resolved, and the cache is empty.
        if (messageOf(ran).startsWith("the cache holds nothing of ")) continue;
        refused += 1;
        expect(faultOf(messageOf(ran), file, breakage, written), `${breakage.what}\n${ran.stderr}`).toBe(
          undefined,
        );
      }
      console.info(`${name}: ${refused} refused, ${count - refused} good`);
      expect(refused).toBeGreaterThan(count / 2);
    },
  );
});

const text = `import { disk, esp, gpt, image, readText, root } from "imgbuild";

const size = "256MiB";

export default image({
  hostname: "web",
  packages: { install: ["apt"] },
  storage: {
    disks: { system: disk({ match: { serial: "S" }, table: gpt(esp({ size }), root()) }) },
  },
  boot: { firmware: ["uefi"] },
});
`;
/** Of the whole file: nobody can know where a bracket belongs. */
const anywhere = undefined;

describe("a broken file", () => {
  it.each<[string, string, string, number | undefined, RegExp]>([
    ["a bracket missing", "root()) }) },\n", "root()) },\n", anywhere, /expected/],
    ["a bracket too many", '["apt"] },', '["apt"] }},', anywhere, /expected|unexpected/],
    ["a comma missing", 'hostname: "web",', 'hostname: "web"', 7, /expected "}" but found "packages"/],
    ["a quote missing", 'hostname: "web",', 'hostname: "web,', 6, /unterminated/],
    ["an import that is not there", '"imgbuild";', '"imgbuilt";', 1, /could not resolve "imgbuilt"/],
    ["a name that is not exported", "import { disk,", "import { disc as disk,", 1, /disc/],
    [
      "a file that is not there",
      'const size = "256MiB";',
      'const size = readText("size");',
      3,
      /size cannot be read/,
    ],
    ["a name that is not declared", "esp({ size })", "esp({ sice })", 9, /sice is not defined/],
    ["a function that is none", "root()", "root()()", 9, /not a function/],
    ["no default export", "export default image(", "export const it = image(", 1, /no default export/],
    [
      "a default export that is a function",
      "export default image({",
      "export default () => ({",
      5,
      /not an object; needs `export default image/,
    ],
    ["a default export that is a list", "export default image({", "export default [{", anywhere, /./],
    ["something that throws", "const size = ", 'throw new Error("no luck");\nconst size = ', 3, /no luck/],
    [
      "something that throws what is no error",
      "const size = ",
      "throw 5;\nconst size = ",
      1,
      /threw a number/,
    ],
    ["a rejected promise", "const size = ", 'await Promise.reject(new Error("no"));\nconst size = ', 3, /no/],
    ["an end of the process", "const size = ", "process.exit(3);\nconst size = ", 1, /exit/],
    ["a variable assigned twice", "export default", "size = 1;\nexport default", 5, /size/],
    [
      "a `require`",
      "const size = ",
      'require("node:fs");\nconst size = ',
      3,
      /"node:fs" is not for definitions/,
    ],
    ["bytes that are no text", "const size", "\u0000const size", 3, /unexpected/],
    ["nothing in it", text, "", 1, /hostname: is missing/],
  ])("with %s is answered with its place", async (_what, from, to, line, message) => {
    expect(text).toContain(from);
    const dir = tempDir();
    writeFileSync(
      join(dir, "IMGBUILD.ts"),
      text.replace(from, () => to),
    );
    const ran = await locked(dir);
    expectFail(ran, 1, message, /./);
    expect(messageOf(ran)).toMatch(new RegExp(`^\\S*IMGBUILD\\.ts:${line ?? "\\d+"}: `));
  });
});
