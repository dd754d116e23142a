import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chooseMirrors, machineMirrors, mirrorsInSources } from "../../../../src/debian/archive/mirrors.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const own = { archive: "debian", url: "http://mirror.example.org/debian" } as const;
const security = { archive: "debian-security", url: "http://mirror.example.org/debian-security" } as const;

describe("mirrorsInSources", () => {
  it("reads one-line sources", () => {
    const text = [
      "# deb http://commented.example.org/debian trixie main",
      "deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example.org/debian/ trixie main contrib",
      "deb http://mirror.example.org/debian trixie-updates main # again",
      "deb-src http://source.example.org/debian trixie main",
      "deb http://mirror.example.org/debian-security trixie-security main",
      "deb http://old.example.org/security bookworm/updates main",
    ].join("\n");
    expect(mirrorsInSources(text, "")).toEqual([
      own,
      security,
      { archive: "debian-security", url: "http://old.example.org/security" },
    ]);
  });

  it("reads deb822 sources, folded fields too, without disabled and source-only stanzas", () => {
    const text = [
      "# main\nTypes: deb deb-src\nURIs: http://mirror.example.org/debian\n http://second.example.org/debian/",
      "Suites: trixie trixie-updates\nComponents: main\nSigned-By: /usr/share/keyrings/x.gpg",
      "",
      "Types: deb\nURIs: http://mirror.example.org/debian-security\nSuites: trixie-security\nComponents: main",
      "",
      "Enabled: no\nTypes: deb\nURIs: http://off.example.org/debian\nSuites: trixie\nComponents: main",
      "",
      "Types: deb-src\nURIs: http://source.example.org/debian\nSuites: trixie\nComponents: main",
    ].join("\n");
    expect(mirrorsInSources("", text)).toEqual([
      own,
      { archive: "debian", url: "http://second.example.org/debian" },
      security,
    ]);
  });

  it.each([
    "deb https://vendor.example.org/linux/debian trixie stable",
    "deb http://vendor.example.org/debian trixie-vendor main",
    "deb http://vendor.example.org/debian nodistro main",
    "deb http://vendor.example.org/ubuntu noble main",
    "deb file:///srv/debian trixie main",
    "deb cdrom:[Debian]/ trixie main",
    "deb http://vendor.example.org/debian ./",
  ])("passes over what is not Debian's own: %s", (line) => {
    expect(mirrorsInSources(line, "")).toEqual([]);
    const [, url, suite, components] = line.split(" ");
    const stanza = `Types: deb\nURIs: ${url}\nSuites: ${suite}\nComponents: ${components ?? ""}`;
    expect(mirrorsInSources("", stanza)).toEqual([]);
  });
});

it.each([
  "http://user:word@deb.example.org/debian",
  "http://deb.example.org/debian?x=$(reboot)",
  "http://deb.example.org/'debian'",
  "http://[::1/debian",
  "file:/srv/debian",
])("takes no mirror that could say more than where it is: %s", (url) => {
  expect(
    mirrorsInSources(`deb ${url} trixie main`, `Types: deb\nURIs: ${url}\nSuites: trixie\nComponents: main`),
  ).toEqual([]);
});

describe("machineMirrors", () => {
  it("reads sources.list and both kinds of parts", async () => {
    const apt = tempDir();
    mkdirSync(join(apt, "sources.list.d"));
    writeFileSync(join(apt, "sources.list"), "deb http://one.example.org/debian trixie main");
    writeFileSync(join(apt, "sources.list.d/two.list"), "deb http://two.example.org/debian trixie main");
    writeFileSync(
      join(apt, "sources.list.d/three.sources"),
      "Types: deb\nURIs: http://three.example.org/debian\nSuites: trixie\nComponents: main\n",
    );
    writeFileSync(
      join(apt, "sources.list.d/four.list.bak"),
      "deb http://four.example.org/debian trixie main",
    );
    expect((await machineMirrors(apt)).map(({ url }) => new URL(url).hostname.split(".")[0])).toEqual([
      "one",
      "two",
      "three",
    ]);
  });

  it("finds none where there is no apt", async () => {
    expect(await machineMirrors(join(tempDir(), "none"))).toEqual([]);
  });
});

describe("chooseMirrors", () => {
  const target = [{ archive: "debian", url: "http://target.example.org/debian" }] as const;

  it("takes the definition's alone, security beside it", () => {
    const definition = "http://only.example.org/debian/";
    expect(chooseMirrors({ definition, target, environment: "http://env.example.org/debian" })).toEqual({
      debian: ["http://only.example.org/debian"],
      "debian-security": ["http://only.example.org/debian-security"],
    });
  });

  it("takes the environment's first, then the target's, then this machine's, each once", () => {
    const mirrors = chooseMirrors({
      environment: "http://env.example.org/debian",
      target,
      machine: [...target, own, security],
    });
    expect(mirrors.debian.slice(0, 3)).toEqual(["http://env.example.org/debian", target[0].url, own.url]);
    expect(mirrors["debian-security"].slice(0, 2)).toEqual([
      "http://env.example.org/debian-security",
      security.url,
    ]);
  });

  it("always has a mirror of each archive", () => {
    const mirrors = chooseMirrors({});
    expect(mirrors.debian).toHaveLength(1);
    expect(mirrors["debian-security"]).toHaveLength(1);
  });
});
