// Makes a site of the documentation: out/site. MkDocs, as Debian packages it, does so without network; a link that leads nowhere
// fails.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { run } from "../src/system/run/run.ts";

const top = resolve(import.meta.dirname, "..");
const from = join(top, "docs");
const work = join(top, "out/site-source");
const site = join(top, "out/site");
const runMs = 5 * 60_000;
/** In the order in which one reads them; the others follow under "How it works". */
const guides = [
  ...[
    "FIRST-SERVER",
    "COMING-FROM",
    "DEPLOY",
    "TESTING",
    "IMAGES",
    "HOSTS",
    "SECRETS",
    "BACKUP",
    "ESCROW",
    "RECOVERY",
    "STORAGE",
    "BOOT",
  ],
  ...["PACKAGES", "STORE", "WITHOUT-ROOT"],
];
const reference = ["COMMANDS", "DEFINITION", "FIELDS", "TROUBLESHOOTING"];

rmSync(work, { recursive: true, force: true });
mkdirSync(join(work, "pages"), { recursive: true });
const pages = readdirSync(from).filter((name) => name.endsWith(".md"));
for (const name of pages) writeFileSync(join(work, "pages", name), pageOf(join(from, name)));
writeFileSync(join(work, "pages/index.md"), pageOf(join(top, "README.md")).replaceAll("](docs/", "]("));
writeFileSync(join(work, "mkdocs.yml"), stringify(settings()));
const mkdocs = ["mkdocs", "build", "--quiet", "--strict", "--config-file", join(work, "mkdocs.yml")];
await run([...mkdocs, "--site-dir", site], { timeoutMs: runMs, hint: "install the package mkdocs" });
console.log(`${join(site, "index.html")}: ${pages.length + 1} pages`);

/** Without links to files that are no page of the site: their names are enough. */
function pageOf(file: string): string {
  const text = readFileSync(file, "utf8");
  return text.replace(/\[([^\]]+)\]\((?!https?:|#|(?:docs\/)?[A-Z-]+\.md(?:#|\)))[^)]*\)/g, "$1");
}

function settings() {
  const there = (names: readonly string[]) => names.filter((name) => pages.includes(`${name}.md`));
  const inner = pages
    .map((name) => name.replace(/\.md$/, ""))
    .filter((name) => ![...guides, ...reference].includes(name));
  const listed = (names: readonly string[]) => names.map((name) => `${name}.md`);
  return {
    site_name: "imgbuild",
    docs_dir: join(work, "pages"),
    theme: { name: "readthedocs", highlightjs: false, include_homepage_in_sidebar: false },
    use_directory_urls: false,
    nav: [
      { Overview: "index.md" },
      { Guides: listed(there(guides)) },
      { Reference: listed(there(reference)) },
      { "How it works": listed(inner) },
    ],
  };
}
