import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { sourcesIn } from "../helpers/checks/sources.ts";

const page = readFileSync("docs/TROUBLESHOOTING.md", "utf8");
const source = sourcesIn("src")
  .map(({ text }) => text)
  .join("\n");
/** In bold, with `…` for what differs. */
const messages = [...page.matchAll(/\*\*`([^`]+)`\*\*/g)].map(([, message]) => message!);

it("has an entry for each of the messages that need more words", () => {
  expect(messages.length).toBeGreaterThan(20);
  expect(new Set(messages).size).toBe(messages.length);
});

it.each(messages)("explains a message that there is: %s", (message) => {
  const parts = message.split("…").map((part) => part.trim());
  for (const part of parts.filter((text) => text !== "")) expect(source).toContain(part);
});
