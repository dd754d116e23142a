import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { allSteps } from "../../src/steps/registry.ts";
import { run } from "../../src/system/run/run.ts";
import { withoutTree, works } from "../helpers/builders/tree-works.ts";
import { copyOfSource, protections, takeAway } from "../helpers/checks/protections.ts";
import { sourcesIn } from "../helpers/checks/sources.ts";
import type { Tried } from "../helpers/labs/hostile-links.ts";
import { makeUser, type TestUser } from "../helpers/labs/ordinary-user.ts";

const allMs = 900_000;
/** Mounts of its own: some works mount, and the machine's only disk is made up. */
const alone = ["unshare", "--mount", "--propagation", "private"];
const program = ["node", "--import", "tsx", "test/helpers/labs/hostile-links.ts"];

let user: TestUser;
beforeAll(async () => {
  user = await makeUser("with ids");
});
afterAll(async () => await user.remove());

let byRoot: Promise<ReadonlyMap<string, Tried>> | undefined;
/** The same for all tests. */
async function triedByRoot() {
  byRoot ??= tryLinks([...alone, ...program]);
  return await byRoot;
}

async function tryLinks(argv: readonly string[], cwd?: string): Promise<ReadonlyMap<string, Tried>> {
  const ran = await run(argv, { timeoutMs: allMs, ...(cwd === undefined ? {} : { cwd }) });
  const lines = ran.stdout.trim().split("\n");
  return new Map(lines.map((line) => JSON.parse(line) as Tried).map((one) => [one.name, one]));
}

describe.each(["root", "an ordinary user"])(
  "a link that leads out of the tree, at every path that is asked for, in a build by %s",
  (who) => {
    let tried: ReadonlyMap<string, Tried>;
    beforeAll(async () => {
      tried = await (who === "root" ? triedByRoot() : tryLinks(user.argv(program)));
    });

    it.each(Object.keys(works))("changes nothing outside and brings nothing in: %s", (name) => {
      expect(tried.get(name)?.wrong).toEqual([]);
      expect(tried.get(name)!.planted).toBeGreaterThan(0);
    });
  },
);

describe("what keeps a link from leading out", () => {
  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
    copyOfSource(copy);
  });

  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it.each(protections.map((one) => [one.what, one] as const))(
    "is missed where it is taken away: %s",
    async (_what, protection) => {
      // With it gone, a work may not ask for them any more.
      const { paths } = (await triedByRoot()).get(protection.seenIn)!;
      onTestFinished(takeAway(copy, protection));
      const tried = await tryLinks([...alone, ...program, protection.seenIn, ...paths], copy);
      expect(tried.get(protection.seenIn)?.wrong).not.toEqual([]);
    },
  );
});

/** Whether a step has to do with a tree, by its source or by other sources of steps: it has one by these ways alone (steps/step/step.ts). */
function takesTree(kind: string): boolean {
  const sources = new Map(sourcesIn("src/steps").map((one) => [one.path, one]));
  const todo = [...sources.values()]
    .filter(({ text }) => text.includes(`kind: "${kind}"`))
    .map(({ path }) => path);
  expect(todo).toHaveLength(1);
  // What has no tree itself, and gives paths of one to those that ask by `inTree`.
  const seen = new Set(["src/steps/step/step.ts", "src/steps/step/actions.ts"]);
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const { text, takes } = sources.get(path)!;
    const imports = [...takes.keys()];
    if (/\bcontext\.(root|chroot)\b|(?<!\$)\{[^{}:;]*\b(root|chroot)\b[^{}:;]*\}|\binTree\(/.test(text))
      return true;
    if (imports.some((one) => one.startsWith("src/tree/"))) return true;
    todo.push(...imports.filter((one) => sources.has(one)));
  }
  return false;
}

describe("the works that are tried", () => {
  const tried = new Set(Object.keys(works).map((name) => name.split(",")[0]!));
  const left = Object.values(withoutTree).flat();

  it("are all steps but those that have no tree", () => {
    const kinds = [...allSteps.keys()];
    expect(kinds.filter((kind) => !tried.has(kind)).sort()).toEqual([...left].sort());
    expect(kinds.filter(takesTree).sort()).toEqual(kinds.filter((kind) => tried.has(kind)).sort());
  });
});
