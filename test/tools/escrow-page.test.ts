import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { places } from "../../src/operator/escrow/manifest.ts";
import { escrowPage } from "../../src/operator/escrow/page.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** Pixels of 8 cm, as wide as a code is on paper, at 300 and at 150 dots an inch. */
const widths = ["945", "472"];

it("the codes of an escrow's page are read by a scanner's program: together they are the text below them, which age opens", async () => {
  const dir = tempDir();
  const identity = join(dir, "identity.txt");
  execFileSync("age-keygen", ["-o", identity], { stdio: "ignore" });
  const to = execFileSync("age-keygen", ["-y", identity], { encoding: "utf8" }).trim();
  const entries = [
    { name: `${places.identity}identity.txt`, content: readFileSync(identity) },
    { name: `${places.keys}disk-key`, content: randomBytes(3_000) },
  ];
  const about = { hostname: "web", made: "2026-11-29", definition: "5d1c" } as Parameters<
    typeof escrowPage
  >[0]["about"];
  const page = await escrowPage({ about, entries }, { to: [to] });
  const sections = page.split("<section>").slice(1);
  expect(sections.length).toBe(entries.length);
  const counts: number[] = [];
  for (const [index, section] of sections.entries()) {
    const text = /<pre>([\s\S]*)<\/pre>/.exec(section)![1]!;
    const codes = section.match(/<svg[\s\S]*?<\/svg>/g)!;
    counts.push(codes.length);
    for (const width of widths) {
      const files = codes.map((svg, number) => {
        const file = join(dir, `${width}-${index}-${number}.png`);
        const argv = ["--width", width, "--background-color", "white", "--output", file];
        execFileSync("rsvg-convert", argv, { input: svg });
        return file;
      });
      // It says that there is no D-Bus.
      const read = execFileSync("zbarimg", ["--raw", "--quiet", ...files], {
        ...{ encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
      });
      expect(read).toBe(text);
    }
    const file = join(dir, `${index}.age`);
    writeFileSync(file, text);
    expect(execFileSync("age", ["--decrypt", "-i", identity, file])).toEqual(
      Buffer.from(entries[index]!.content),
    );
  }
  expect(counts).toEqual([1, 6]);
});
