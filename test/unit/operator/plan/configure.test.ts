import { describe, expect, it } from "vitest";
import { type ConfigureOptions, configureSteps } from "../../../../src/operator/plan/configure.ts";
import type { StepData } from "../../../../src/schema/plan.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { adminKey, serverSpec } from "../../../helpers/builders/deployable.ts";

const mirrors = { debian: ["http://a.example.org/debian", "http://b.example.org/debian"] };

function configure(change: Partial<SpecInput> = {}, options: Partial<ConfigureOptions> = {}) {
  const steps = configureSteps(serverSpec(change), {
    epoch: 1_750_000_000,
    storage: { files: [{ path: "/etc/fstab", content: "UUID=u / ext4\n" }], directories: ["/srv"] },
    mirrors,
    packages: new Set(["apt", "openssh-server"]),
    files: { files: new Map(), links: [] },
    identity: "deploy",
    ...options,
  });
  const of = (kind: string) => steps.filter((step) => step.kind === kind);
  const written = new Map(
    of("write-files").flatMap((step) =>
      (step as StepData & { files: { path: string; content?: string; link?: string }[] }).files.map(
        (file) => [file.path, file] as const,
      ),
    ),
  );
  return { steps, of, written, kinds: steps.map(({ kind }) => kind) };
}

describe("configureSteps", () => {
  it("goes from what others lean on to what leans on them", () => {
    const files = new Map([["/etc/motd", { bytes: Buffer.from("hi"), mode: 0o644 }]]);
    const { kinds, of } = configure(
      {
        files: { "/etc/note": { content: "n", owner: "admin" } },
        secrets: { token: { file: "t.age", path: "/etc/token" }, hash: { file: "h.age" } },
      },
      { files: { files, links: [{ path: "/etc/l", link: "x" }] } },
    );
    expect(kinds).toEqual([
      "check-tree",
      "make-users",
      "write-files",
      "place-files",
      "write-files",
      "set-services",
      "write-secrets",
      "place-host-keys",
    ]);
    expect(of("place-files")[0]).toMatchObject({
      files: [{ path: "/etc/motd", mode: "0644", sha256: sha256("hi") }],
    });
    expect(of("write-secrets")[0]).toMatchObject({ secrets: [{ name: "token", path: "/etc/token" }] });
  });

  it("writes names, time zone, locale and fstab, with the domain only in hosts", () => {
    const { written } = configure({ timezone: "Europe/Berlin", locale: "de_DE.UTF-8" });
    const content = (path: string) => written.get(path)?.content;
    expect(content("/etc/hostname")).toBe("web\n");
    expect(content("/etc/hosts")).toMatch(
      /^127\.0\.0\.1 localhost\n[\s\S]*\n127\.0\.1\.1 web\.example\.org web\n$/,
    );
    expect(content("/etc/fstab")).toBe("UUID=u / ext4\n");
    expect(content("/etc/locale.conf")).toBe("LANG=de_DE.UTF-8\n");
    expect(written.get("/etc/localtime")?.link).toBe("../usr/share/zoneinfo/Europe/Berlin");
    expect(written.get("/srv")).toMatchObject({ directory: true });
    expect(configure({ hostname: "web" }).written.get("/etc/hosts")?.content).toMatch(/127\.0\.1\.1 web\n$/);
  });

  it("writes what words of the definition become, and refuses a file of files/ in their place", () => {
    const sysctl = { "vm.swappiness": 1 };
    expect(configure({ sysctl }).written.get("/etc/sysctl.d/90-imgbuild.conf")?.content).toBe(
      "vm.swappiness = 1\n",
    );
    const hosts = { "192.0.2.7": ["db"] };
    expect(configure({ hosts }).written.get("/etc/hosts")?.content).toMatch(/^192\.0\.2\.7 db$/m);
    const files = new Map([["/etc/hosts", { bytes: Buffer.from(""), mode: 0o644 }]]);
    configure({}, { files: { files, links: [] } });
    expect(() => configure({ hosts }, { files: { files, links: [] } })).toThrow(
      "`hosts` writes /etc/hosts, in whose place files/ puts another file",
    );
  });

  it("makes users of services before the users and files that lean on them", () => {
    const { kinds, of, written } = configure({ sysusers: { app: { id: 890 } } });
    expect(kinds.slice(0, 3)).toEqual(["check-tree", "make-system-users", "make-users"]);
    const file = { path: "/etc/sysusers.d/imgbuild.conf", content: "u app 890 - - -\n" };
    expect(of("make-system-users")[0]).toMatchObject(file);
    expect(written.get(file.path)?.content).toBe(file.content);
    expect(configure().kinds).not.toContain("make-system-users");
  });

  it("enables the firewall, unless the definition says otherwise of its service", () => {
    const enabled = (change: Partial<SpecInput>) =>
      (configure(change).of("set-services")[0] as StepData & { enable: string[] }).enable;
    const firewall = { tcp: [22] };
    expect(enabled({ firewall })).toContain("nftables.service");
    expect(configure({ firewall }).written.get("/etc/nftables.conf")).toMatchObject({ mode: "0755" });
    const services = { "nftables.service": { state: "disabled" as const } };
    expect(enabled({ firewall, services })).not.toContain("nftables.service");
    expect(enabled({})).not.toContain("nftables.service");
  });

  it("writes a networkd file for each network", () => {
    const { written } = configure({
      network: {
        wan: {
          match: { mac: "52:54:00:00:00:01" },
          addresses: ["192.0.2.2/32", "2001:db8::2/64"],
          gateway: ["192.0.2.1", "2001:db8::1"],
          gatewayOnLink: true,
          dns: ["192.0.2.53"],
        },
        lan: { match: { name: "en*" }, dhcp: "ipv4" },
      },
    });
    expect(written.get("/etc/systemd/network/10-wan.network")?.content).toBe(
      [
        "[Match]",
        "MACAddress=52:54:00:00:00:01",
        "",
        "[Network]",
        "DHCP=no",
        "Address=192.0.2.2/32",
        "Address=2001:db8::2/64",
        "DNS=192.0.2.53",
        "",
        "[Route]",
        "Gateway=192.0.2.1",
        "GatewayOnLink=yes",
        "",
        "[Route]",
        "Gateway=2001:db8::1",
        "GatewayOnLink=yes",
        "",
      ].join("\n"),
    );
    expect(written.get("/etc/systemd/network/10-lan.network")?.content).toBe(
      "[Match]\nName=en*\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n",
    );
    expect(written.get("/etc/resolv.conf")?.content).toBe("nameserver 192.0.2.53\n");
  });

  it("leaves name resolution to systemd-resolved where that is installed, and to nobody where nothing is known", () => {
    const resolved = configure({}, { packages: new Set(["systemd-resolved"]) });
    expect(resolved.written.get("/etc/resolv.conf")?.link).toBe("../run/systemd/resolve/stub-resolv.conf");
    expect(resolved.of("set-services")[0]).toMatchObject({
      enable: ["systemd-networkd.service", "systemd-resolved.service"],
    });
    expect(configure().written.has("/etc/resolv.conf")).toBe(false);
  });

  it("names the first mirror in apt's sources, and only where there is apt", () => {
    const both = { ...mirrors, "debian-security": ["http://s.example.org/debian-security"] };
    const { written } = configure({ system: { components: ["main", "contrib"] } }, { mirrors: both });
    expect(written.get("/etc/apt/sources.list.d/debian.sources")?.content).toBe(
      [
        "Types: deb",
        "URIs: http://a.example.org/debian",
        "Suites: trixie trixie-updates",
        "Components: main contrib",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "",
        "Types: deb",
        "URIs: http://s.example.org/debian-security",
        "Suites: trixie-security",
        "Components: main contrib",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "",
      ].join("\n"),
    );
    const without = configure({}, { packages: new Set() });
    expect([...without.written.keys()].filter((path) => path.startsWith("/etc/apt"))).toEqual([]);
    expect(without.kinds).not.toContain("place-host-keys");
  });

  it("writes units and drop-ins and sets the services' states, those of the definition before the implied ones", () => {
    const { written, of } = configure({
      secrets: { token: { file: "t.age", path: "/etc/token" } },
      services: {
        "a.service": { state: "enabled", unit: "[Service]\n", dropIn: "[Unit]\n", credentials: ["token"] },
        "b.timer": { state: "masked" },
        "c.socket": { state: "disabled" },
        "systemd-networkd.service": { state: "disabled" },
      },
    });
    expect(written.get("/etc/systemd/system/a.service")?.content).toBe("[Service]\n");
    expect(written.get("/etc/systemd/system/a.service.d/50-imgbuild.conf")?.content).toBe("[Unit]\n");
    expect(written.get("/etc/systemd/system/a.service.d/60-credentials.conf")?.content).toBe(
      "[Service]\nLoadCredential=token:/etc/token\n",
    );
    expect(of("set-services")[0]).toMatchObject({
      enable: ["a.service"],
      disable: ["c.socket", "systemd-networkd.service"],
      mask: ["b.timer"],
    });
  });

  it("gives an image neither secrets nor host keys, but what makes host keys when it first starts", () => {
    const secrets = { token: { file: "t.age", path: "/etc/token" } };
    const image = configure({ secrets }, { identity: "image" });
    expect(image.kinds).not.toContain("write-secrets");
    expect(image.of("place-host-keys")[0]).toMatchObject({ expected: false });
    expect(image.of("set-services")[0]).toMatchObject({
      enable: ["imgbuild-host-keys.service", "systemd-networkd.service"],
    });
    expect(image.written.get("/etc/systemd/system/imgbuild-host-keys.service")?.content).toContain(
      "Before=ssh.service",
    );
    const withSecrets = configure({ secrets }, { identity: "image-with-secrets" });
    expect(withSecrets.kinds).toContain("write-secrets");
    const deploy = configure({ secrets });
    expect(deploy.of("place-host-keys")[0]).toMatchObject({ expected: true });
    expect(deploy.written.has("/etc/systemd/system/imgbuild-host-keys.service")).toBe(false);
  });

  it("makes users in a fixed order, whatever the definition's", () => {
    const users = (names: readonly string[]) =>
      configure({ users: Object.fromEntries(names.map((name) => [name, { keys: [adminKey] }])) }).of(
        "make-users",
      );
    expect(users(["b", "a", "c"])).toEqual(users(["c", "b", "a"]));
    expect(configure({ users: {} }).kinds).not.toContain("make-users");
  });

  it("makes the locale where it has to be made", () => {
    const packages = new Set(["apt", "locales"]);
    const german = configure({ locale: "de_DE.UTF-8" }, { packages });
    expect(german.written.get("/etc/locale.gen")?.content).toBe("de_DE.UTF-8 UTF-8\n");
    expect(german.kinds).toContain("make-locale");
    expect(configure({}, { packages }).kinds).not.toContain("make-locale");
  });
});
