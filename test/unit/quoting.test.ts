import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parsePlainYaml } from "../../src/debian/lock/plain-yaml.ts";
import { Boot, Repository } from "../../src/schema/spec.ts";
import { shellLine, shellWord } from "../../src/util/shell-word.ts";
import { render } from "../../src/util/template.ts";
import { bashWord } from "../../src/vm/machine/guest-shell.ts";
import {
  expectSame,
  howMany,
  oddStrings,
  seed,
  shells,
  testMs,
  through,
} from "../helpers/builders/odd-strings.ts";

describe(`a string that is quoted is itself again (F39, ${howMany} strings, IMGBUILD_SEED=${seed})`, () => {
  const words = oddStrings(howMany, seed);

  for (const shell of shells) {
    it(`to ${shell.join(" ")}, as an argument`, { timeout: testMs }, () => {
      expectSame(
        through(shell, words, (batch) => shellLine(["printf", "%s\\0", ...batch])),
        words,
      );
    });

    it(`to ${shell.join(" ")}, as a word of a template or a hook`, { timeout: testMs }, () => {
      const written = (word: string) => {
        const { text, problems } = render("printf '%s\\0' {{word | shell}}", { word });
        expect(problems).toEqual([]);
        return text;
      };
      expectSame(
        through(shell, words, (batch) => batch.map(written).join("\n")),
        words,
      );
      expectSame(
        through(shell, words, (batch) => batch.map((word) => `printf '%s\\0' ${shellWord(word)}`).join("; ")),
        words,
      );
    });
  }

  it("to the guest's bash, on one line", { timeout: testMs }, () => {
    const lines = (batch: readonly string[]) => {
      const quoted = batch.map(bashWord);
      for (const one of quoted) expect(one).not.toMatch(/[\n\r]/);
      return quoted.map((one) => `printf '%s\\0' ${one}`).join("\n");
    };
    expectSame(through(["bash"], words, lines), words);
  });
});

describe(`a string that a definition may say where nothing is quoted (F39, IMGBUILD_SEED=${seed})`, () => {
  const words = oddStrings(howMany, seed + 2, { maxBytes: 60 });

  it("is one word of the kernel's, without quotes and backslashes, which GRUB and the kernel change", () => {
    const taken = words.filter((word) => Boot.shape.cmdline.safeParse([word]).success);
    expect(taken.length).toBeGreaterThan(20);
    expect(taken.filter((word) => !/^[\x21-\x7e]+$/.test(word) || /["'\\]/.test(word))).toEqual([]);
  });

  it("is one URL of apt's sources", () => {
    const taken = words.flatMap((word) => {
      const read = Repository.shape.url.safeParse(`https://example.org/${word}`);
      return read.success ? [read.data] : [];
    });
    expect(taken.length).toBeGreaterThan(20);
    expect(taken.filter((url) => /[^\x21-\x7e]/.test(url))).toEqual([]);
  });
});

describe("YAML", () => {
  it(`is read as its library reads it, or left to it (F39, IMGBUILD_SEED=${seed})`, {
    timeout: testMs,
  }, () => {
    let own = 0;
    for (const word of oddStrings(howMany, seed + 3, { maxBytes: 40 }))
      for (const text of [`a: ${word}\n`, `a:\n  - ${word}\n`, `${word}\n`]) {
        const read = parsePlainYaml(text);
        if (read === undefined) continue;
        own += 1;
        if (JSON.stringify(read) !== JSON.stringify(parse(text)))
          throw new Error(
            `${JSON.stringify(text)} is read as ${JSON.stringify(read)}; again: IMGBUILD_SEED=${seed}`,
          );
      }
    expect(own).toBeGreaterThan(100);
  });
});
