import { describe, expect, it } from "vitest";
import { aptFiles } from "../../../../src/operator/plan/apt-files.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const mirrors = {
  debian: ["file:///srv/vendor/debian", "http://a.example.org/debian", "http://b.example.org/debian"],
  "debian-security": ["http://a.example.org/debian-security"],
};
const key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n";
const vendor = {
  url: "https://vendor.example.org/apt",
  suite: "stable",
  components: ["main", "extra"],
  key,
  fingerprint: "A".repeat(40),
};
const written = (change: Partial<SpecInput>) =>
  new Map(
    aptFiles(serverSpec(change), mirrors).map((file) => [file.path, "content" in file ? file.content : ""]),
  );

describe("aptFiles", () => {
  it("name the first mirror that the machine itself can reach", () => {
    const sources = written({}).get("/etc/apt/sources.list.d/debian.sources") ?? "";
    expect(sources).toContain("URIs: http://a.example.org/debian\nSuites: trixie trixie-updates\n");
    expect(sources).toContain("URIs: http://a.example.org/debian-security\nSuites: trixie-security\n");
    expect(sources).not.toContain("file:");
    expect([...written({}).keys()]).toEqual(["/etc/apt/sources.list.d/debian.sources"]);
  });

  it("name suites beside the release, which then is preferred to another one", () => {
    const backports = written({ system: { suites: ["trixie-backports"] } });
    expect(backports.get("/etc/apt/sources.list.d/debian.sources")).toContain(
      "Suites: trixie trixie-updates trixie-backports\n",
    );
    expect(backports.has("/etc/apt/preferences.d/imgbuild.pref")).toBe(false);
    const next = written({ system: { suites: ["forky"] } });
    expect(next.get("/etc/apt/sources.list.d/debian.sources")).toContain(
      "Suites: trixie-security forky-security\n",
    );
    expect(next.get("/etc/apt/preferences.d/imgbuild.pref")).toBe(
      ["trixie", "trixie-updates", "trixie-security"]
        .map((suite) => `Package: *\nPin: release n=${suite}\nPin-Priority: 990\n`)
        .join("\n"),
    );
  });

  it("trust a repository by its own key, and hand on the pins", () => {
    const pins = [
      { packages: ["nginx*", "curl"], suite: "trixie-backports", priority: 600 },
      { packages: ["*"], origin: "vendor", priority: 100 },
      { packages: ["*"], origin: "Example", priority: -1 },
      { packages: ["bash"], version: "5.*", priority: 1001 },
    ];
    const files = written({ system: { repositories: { vendor } }, packages: { install: ["nginx"], pins } });
    expect(files.get("/etc/apt/keyrings/vendor.asc")).toBe(key);
    expect(files.get("/etc/apt/sources.list.d/vendor.sources")).toBe(
      "Types: deb\nURIs: https://vendor.example.org/apt\nSuites: stable\nComponents: main extra\nSigned-By: /etc/apt/keyrings/vendor.asc\n",
    );
    expect(files.get("/etc/apt/preferences.d/imgbuild.pref")).toBe(
      [
        "Package: nginx* curl\nPin: release n=trixie-backports\nPin-Priority: 600\n",
        "Package: *\nPin: origin vendor.example.org\nPin-Priority: 100\n",
        "Package: *\nPin: release o=Example\nPin-Priority: -1\n",
        "Package: bash\nPin: version 5.*\nPin-Priority: 1001\n",
      ].join("\n"),
    );
  });
});
