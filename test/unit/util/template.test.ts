import { describe, expect, it } from "vitest";
import { run } from "../../../src/system/run/run.ts";
import { render } from "../../../src/util/template.ts";

describe("a template", () => {
  it.each<[string, Record<string, string | number | boolean>, string]>([
    ["listen {{port}};\n", { port: 80 }, "listen 80;\n"],
    ["{{ a }}{{a}} {{b}}", { a: "x", b: false }, "xx false"],
    ["{{a}}", { a: "{{b}} $& $1" }, "{{b}} $& $1"],
    ['{{"{{"}}job}} {{"}}"}}', {}, "{{job}} }}"],
    ["{{a | json}}", { a: 'say "hi"\n' }, '"say \\"hi\\"\\n"'],
    ["<a b='{{a|xml}}'/>", { a: `<&>"'` }, "<a b='&#60;&#38;&#62;&#34;&#39;'/>"],
    ["<a b='{{a|xml}}'/>", { a: "1\n\t2\r" }, "<a b='1&#10;&#9;2&#13;'/>"],
    ["no places, } and { and }}", {}, "no places, } and { and }}"],
  ])("%j with %o is %j", (text, values, made) => {
    expect(render(text, values)).toEqual({ text: made, problems: [], unused: [] });
  });

  it("quotes a value for a shell so that the shell reads it back", async () => {
    const value = 'it\'s $HOME `id` \\ "x"\n*';
    const { text } = render("printf %s {{value | shell}}", { value });
    expect((await run(["sh", "-c", text])).stdout).toBe(value);
  });

  it.each<[string, Record<string, string>, string[], string[]]>([
    ["a\n{{prot}}", { port: "1" }, ["line 2: `prot` is not in values; did you mean `port`"], ["port"]],
    ["{{x}}", {}, ["line 1: `x` needs an entry of that name in values, which has none"], []],
    ["{{toString}}", {}, ["line 1: `toString` needs an entry of that name in values, which has none"], []],
    [
      "{{a | upper}}",
      { a: "1" },
      ["line 1: `upper` is not in its filters; accepted are json, shell, xml"],
      [],
    ],
    [
      "{{a | xml}}",
      { a: "\x1b" },
      ["line 1: a holds characters that XML cannot say; use another filter, or leave them out"],
      [],
    ],
    ["{{a.b}}", { a: "1" }, [expect.stringMatching(/^line 1: \{\{ begins no place/)], ["a"]],
    ["{{a", { a: "1" }, [expect.stringMatching(/begins no place/)], ["a"]],
    ["{{}}", {}, [expect.stringMatching(/begins no place/)], []],
    ["{{a}}", { a: "1", b: "2" }, [], ["b"]],
  ])("%j with %o has problems", (text, values, problems, unused) => {
    const rendered = render(text, values);
    expect(rendered.problems).toEqual(problems);
    expect(rendered.unused).toEqual(unused);
    expect(rendered.problems.length + rendered.unused.length).toBeGreaterThan(0);
  });
});
