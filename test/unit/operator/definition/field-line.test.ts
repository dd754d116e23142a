import { describe, expect, it } from "vitest";
import { lineOf } from "../../../../src/operator/definition/field-line.ts";

const text = `import { disk, gpt, image, root } from "imgbuild"; // export default { hostname: "no" }

const install = [
  "nginx",
  "Bad Name",
];
const admin = {
  sudo: true,
  keys: ["a}", 'b]', \`c)\`],
  uid: 5,
};

export default image({
  /* hostname: "commented" */
  hostname: "web",
  packages: { install },
  storage: {
    disks: {
      system: disk({
        match: { serial: "A" },
        table: gpt(
          root(),
          root({
            size: "8GiB",
          }),
        ),
      }),
    },
  },
  users: { admin, other: {
    uid: 7 } },
  files: {
    "/etc/motd": {
      content: "a: b, }",
      mode: "9",
    },
  },
  services: {
    ...more(),
    "a.service":
      { state: "x" },
  },
});
`;

describe("lineOf", () => {
  it.each<[(string | number)[], number]>([
    [["hostname"], 15],
    [["packages", "install", 1], 5],
    [["storage", "disks", "system", "match", "serial"], 20],
    [["storage", "disks", "system", "table", "partitions", 1, "size"], 24],
    [["users", "admin", "uid"], 10],
    [["users", "admin", "keys", 2], 9],
    [["users", "other", "uid"], 31],
    [["files", "/etc/motd", "mode"], 35],
    [["services", "a.service"], 40],
  ])("finds %j in line %d", (path, line) => {
    expect(lineOf(text, path)).toBe(line);
  });

  it("answers with the nearest thing around what is not there", () => {
    expect(lineOf(text, ["users", "admin", "shell"])).toBeGreaterThanOrEqual(7);
    expect(lineOf(text, ["files", "/etc/none"])).toBe(32);
    expect(lineOf(text, ["boot", "cmdline"])).toBe(13);
  });

  it("finds a value exported by name", () => {
    expect(lineOf('const spec = {\n  hostname: "A",\n};\nexport default spec;\n', ["hostname"])).toBe(2);
  });

  it.each(["", "export default", "export default {", "}}}", "export default image({ a: [ }", "`", '"', "/*"])(
    "reads %j without an end or a failure",
    (broken) => {
      expect(lineOf(broken, ["a", 0, "b"])).toBeGreaterThanOrEqual(1);
    },
  );

  it("finds its way through a definition of many thousand lines", () => {
    const large = `export default {\n${Array.from({ length: 20_000 }, (_, i) => `  k${i}: [{ a: "${i}" }],\n`).join("")}};\n`;
    expect(lineOf(large, ["k19999", 0, "a"])).toBe(20_001);
  });

  it.each([
    ["an object", "({", "}),"],
    ["what image gives", "image({", "}),"],
    ["what its block returns", "{\n const n = [1].map((a) => { return a; });\n return image({", "});\n},"],
  ])("finds a field in %s of a function of parameters", (_name, begin, end) => {
    const accepts = "{ hostname: z.string().refine((a) => a !== 'x') }";
    const text = `export default imageWith(${accepts}, ({ hostname }) => ${begin}\n  hostname,\n  users: {\n    admin: { sudoo: true },\n  },\n${end}\n);\n`;
    const line = (words: string) => text.slice(0, text.indexOf(words)).split("\n").length;
    expect(lineOf(text, ["users", "admin", "sudoo"])).toBe(line("admin:"));
    expect(lineOf(text, ["hostname"])).toBe(line("  hostname,"));
  });

  it("finds what a function makes by the string that it was given", () => {
    const text = [
      'const other = "hourlyy";',
      "export default image({",
      "  services: {",
      "    ...timer({",
      '      unit: "stamp",',
      '      onCalendar: "hourlyy",',
      "    }),",
      "  },",
      "});",
    ].join("\n");
    const path = ["services", "stamp.timer", "unit"];
    expect(lineOf(text, path, "hourlyy")).toBe(6);
    expect(lineOf(text, path, "weekly")).toBe(3);
  });
});
