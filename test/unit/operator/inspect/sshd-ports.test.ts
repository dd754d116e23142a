import { expect, it } from "vitest";
import { sshdPorts } from "../../../../src/operator/inspect/sshd-ports.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";

const main = "/etc/ssh/sshd_config";
const part = "/etc/ssh/sshd_config.d/port.conf";
const another = "/etc/ssh/sshd_config.d/a.conf";

function ports(
  inline: Readonly<Record<string, string>>,
  more: Partial<SpecInput> = {},
  files: Readonly<Record<string, string>> = {},
  links: readonly { path: string; link: string }[] = [],
) {
  const spec = Spec.parse({
    hostname: "server",
    files: Object.fromEntries(Object.entries(inline).map(([path, content]) => [path, { content }])),
    ...more,
  });
  const placed = Object.entries(files).map(
    ([path, text]) => [path, { bytes: Buffer.from(text), mode: 0o644 }] as const,
  );
  return sshdPorts(spec, { files: new Map(placed), links });
}

it.each<[string, Record<string, string>, number[]]>([
  ["nothing", {}, [22]],
  ["a file that says nothing of it", { [part]: "PasswordAuthentication no\n#Port 2200\n" }, [22]],
  ["a part of the configuration", { [part]: "Port 2200\n" }, [2200]],
  ["several ports, in any writing", { [part]: 'port=2200\n  PORT "22" # ours\n' }, [22, 2200]],
  ["the port's name", { [part]: "Port ssh\n" }, [22]],
  ["several files", { [part]: "Port 2200\n", [another]: "Port 2201\n" }, [2200, 2201]],
  ["an address without a port", { [part]: "Port 2200\nListenAddress 192.0.2.1 rdomain x\n" }, [2200]],
  [
    "addresses with ports of their own",
    { [part]: "ListenAddress [2001:db8::1]:2201\nListenAddress 192.0.2.1:2202\n" },
    [2201, 2202],
  ],
  ["an IPv6 address alone", { [part]: "ListenAddress 2001:db8::22\n" }, [22]],
  ["its own configuration, which reads no parts", { [main]: "Port 2200\n", [part]: "Port 2201\n" }, [2200]],
  [
    "its own, which reads them",
    { [main]: "Include /etc/ssh/sshd_config.d/*.conf\n", [part]: "Port 2201\n" },
    [2201],
  ],
  [
    "its own, which reads some of them",
    {
      [main]: `Include none.conf sshd_config.d/p?rt.conf\nPort 2200\n`,
      [part]: "Port 2201\n",
      [another]: "Port 22\n",
    },
    [2200, 2201],
  ],
  [
    "its own, which reads them for some connections only",
    { [main]: `Port 2200\nMatch User x\nInclude ${part}\n`, [part]: "Port 22\n" },
    [2200],
  ],
  ["a block for some", { [part]: "Port 2200\nMatch User x\n  Port 22\n" }, [2200]],
  ["a file that sshd does not read", { [`${part}.bak`]: "Port 2200\n" }, [22]],
])("reads the ports from %s", (_what, files, expected) => {
  expect(ports(files).ports).toEqual(expected);
});

it("reads files/ and templates too, and what is inline before them", () => {
  const templates = { [part]: { text: "Port {{port}}\n", values: { port: 2201 } } };
  expect(ports({}, {}, { [part]: "Port 2200\n" })).toEqual({ ports: [2200], sure: true });
  expect(ports({}, { templates }, { [part]: "Port 2200\n" })).toEqual({ ports: [2201], sure: true });
  expect(ports({ [part]: "Port 22\n" }, { templates }, { [part]: "Port 2200\n" }).ports).toEqual([22]);
});

const diff = (path: string) => `--- a${path}\n+++ b${path}\n@@ -1 +1 @@\n-#Port 22\n+Port 2200\n`;

it.each<[string, Partial<SpecInput>]>([
  ["a patch of its configuration", { patches: [{ name: "port", diff: diff(main) }] }],
  ["a patch of its arguments", { patches: [{ name: "port", diff: diff("/etc/default/ssh") }] }],
  ["a script", { provision: [{ name: "port", script: "#!/bin/sh\ntrue\n" }] }],
  ["a package of one's own", { packages: { debs: ["own.deb"] } }],
  ["a secret among its parts", { secrets: { port: { file: "port.age", path: part } } }],
  ["a socket", { services: { "ssh.socket": { dropIn: "[Socket]\nListenStream=2200\n" } } }],
  ["its unit", { files: { "/etc/systemd/system/ssh.service.d/port.conf": { content: "[Service]\n" } } }],
  ["its arguments", { files: { "/etc/default/ssh": { content: "SSHD_OPTS=-p2200\n" } } }],
  ["another file that is read", { files: { [main]: { content: "Include /etc/ssh/more/*\n" } } }],
  ["a port that has a name only", { files: { [part]: { content: "Port shell\n" } } }],
])("is not sure where there is %s", (_what, more) => {
  expect(ports({}, more).sure).toBe(false);
});

it("is not sure where a link of files/ leads elsewhere", () => {
  expect(ports({}, {}, {}, [{ path: part, link: "../port.conf" }]).sure).toBe(false);
  expect(ports({}, {}, {}, [{ path: "/etc/localtime", link: "UTC" }]).sure).toBe(true);
});

it("is sure of what has nothing to do with it", () => {
  const more: Partial<SpecInput> = {
    patches: [{ name: "nginx", diff: diff("/etc/nginx/nginx.conf") }],
    secrets: { key: { file: "key.age", path: "/etc/ssh/ssh_host_ed25519_key" } },
    services: { "nginx.service": { dropIn: "[Service]\n" }, "ssh.service": { state: "enabled" } },
    files: { "/etc/ssh/ssh_config": { content: "Port 2200\n" } },
  };
  expect(ports({}, more)).toEqual({ ports: [22], sure: true });
});

it("reads the definition's own word, which leaves no doubt", () => {
  const sshd = { ports: [2200, 22] };
  expect(ports({}, { sshd })).toEqual({ ports: [22, 2200], sure: true });
  expect(ports({ [part]: "Port 2201\n" }, { sshd }).ports).toEqual([22, 2200, 2201]);
  expect(ports({ [main]: "Port 2201\n" }, { sshd }).ports).toEqual([2201]);
});
