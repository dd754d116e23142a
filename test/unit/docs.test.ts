import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, it } from "vitest";
import { needs } from "../../src/operator/native/doctor.ts";
import { docSpans, docs } from "../helpers/checks/docs.ts";

it("what docs/SECURITY.md promises is shown by tests that are there", () => {
  const named = readFileSync("docs/SECURITY.md", "utf8").match(/\btest\/[\w/-]+\.test\.ts/g) ?? [];
  expect(named.length).toBeGreaterThan(20);
  expect([...new Set(named)].filter((test) => !existsSync(test))).toEqual([]);
});

it("docs/FIRST-SERVER.md installs all that doctor looks for", () => {
  const lines = readFileSync("docs/FIRST-SERVER.md", "utf8").match(/^sudo apt-get install .*$/gm) ?? [];
  const installed = ["tar", "util-linux", ...lines.flatMap((line) => line.split(" "))];
  const wanted = needs.filter(({ use }) => use !== "tests").map((need) => need.package);
  expect(wanted.length).toBeGreaterThan(10);
  expect(wanted.filter((name) => !installed.includes(name))).toEqual([]);
});

it("docs/WHERE.md answers twenty questions, each with files that are there", () => {
  const rows = readFileSync("docs/WHERE.md", "utf8").match(/^\| .*\?.* \|$/gm) ?? [];
  const answers = rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, path]) => path!));
  expect(answers.length).toBeGreaterThanOrEqual(20);
  for (const [index, paths] of answers.entries()) {
    expect(paths, rows[index]).not.toEqual([]);
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  }
});

it("the documentation names files that are there", () => {
  const path = /^(src|test|scripts|docs|imgbuild|initramfs|secrets)\/[\w./-]+$/;
  const named = docSpans().filter(({ text }) => path.test(text) && text !== "imgbuild/testing");
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter(({ text }) => !existsSync(text))).toEqual([]);
  const there = ["test", "imgbuild"].flatMap((place) =>
    readdirSync(place, { recursive: true, encoding: "utf8" }),
  );
  const tests = new Set(there.map((file) => basename(file)));
  const alone = docSpans().filter(({ text }) => /^[\w-]+\.test\.ts$/.test(text));
  expect(alone.filter(({ text }) => !tests.has(text))).toEqual([]);
});

it("the documentation's links lead to pages and headings that are there", () => {
  const links = docs.flatMap((file) =>
    [...withoutBlocks(file).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => {
      const [page, heading] = link!.split("#");
      return { file, link, page: page ? join(dirname(file), page) : file, heading };
    }),
  );
  expect(links.length).toBeGreaterThan(30);
  expect(
    links.filter(({ page, heading }) =>
      heading === undefined ? !existsSync(page) : !headingsOf(page).includes(heading),
    ),
  ).toEqual([]);
});

function withoutBlocks(file: string): string {
  return readFileSync(file, "utf8").replace(/^```[\s\S]*?^```$/gm, "");
}

/** As links name them. */
function headingsOf(page: string): string[] {
  if (!existsSync(page)) return [];
  return [...withoutBlocks(page).matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
    text!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
