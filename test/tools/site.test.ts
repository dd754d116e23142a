import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { project } from "../helpers/imgbuild.ts";

it("the documentation becomes a site that needs no other", () => {
  execFileSync("node", ["--import", "tsx", "scripts/site.ts"], { cwd: project });
  const site = join(project, "out/site");
  const guides = readdirSync(join(project, "docs")).filter((name) => name.endsWith(".md"));
  const index = readFileSync(join(site, "index.html"), "utf8");
  for (const guide of guides) {
    const page = `${basename(guide, ".md")}.html`;
    expect(index).toContain(`href="${page}"`);
    const [, title] = /^# (.+)$/m.exec(readFileSync(join(project, "docs", guide), "utf8"))!;
    const text = readFileSync(join(site, page), "utf8");
    expect(text.replace(/<[^>]+>/g, "")).toContain(title!.replaceAll("`", ""));
    expect(text).not.toMatch(/<(script|link|img)\b[^>]*(src|href)="(https?:)?\/\//);
  }
});
