import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { fieldsPage } from "../../scripts/fields/page.ts";

const page = readFileSync("docs/FIELDS.md", "utf8");

it("docs/FIELDS.md is what the schema and its comments say; `make fields` writes it", () => {
  expect(page).toBe(fieldsPage());
});

it.each([
  [
    "its default, and the comment above it",
    "| `gatewayOnLink` | `true` or `false` | `false` | The gateway is outside every address's prefix, as at many providers. |",
  ],
  [
    "what is accepted, as a message says it",
    '| `mode` | four octal digits, as in "0644" | `"0600"` | Permissions of the file in octal. |',
  ],
  ["that it is needed", "| `hostname` | a host name | *needed* | Its name, with or without a domain. |"],
])("a field has %s", (_what, row) => {
  expect(page.split("\n")).toContain(row);
});

it("a field has no words of another that is called the same", () => {
  const swapFile = page.split("\n## ").find((section) => section.startsWith("`storage.swapFile`\n"))!;
  expect(swapFile).toMatch(/^\| `size` \| [^|]* \| \*needed\* \| {2}\|$/m);
});
