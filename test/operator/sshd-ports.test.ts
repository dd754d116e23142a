import { expect, it } from "vitest";
import { sshdPorts } from "../../src/operator/sshd-ports.ts";
import { Spec } from "../../src/schema/spec.ts";

const main = "/etc/ssh/sshd_config";
const part = "/etc/ssh/sshd_config.d/port.conf";

function ports(
  inline: Readonly<Record<string, string>>,
  more: { files?: Record<string, string>; template?: string } = {},
) {
  const spec = Spec.parse({
    hostname: "server",
    files: Object.fromEntries(Object.entries(inline).map(([path, content]) => [path, { content }])),
    ...(more.template === undefined
      ? {}
      : { templates: { [part]: { text: more.template, values: { port: 2200 } } } }),
  });
  const files = Object.entries(more.files ?? {}).map(
    ([path, text]) => [path, { bytes: Buffer.from(text), mode: 0o644 }] as const,
  );
  return sshdPorts(spec, new Map(files));
}

it.each<[string, Record<string, string>, number[]]>([
  ["nothing", {}, [22]],
  ["a file that says nothing of it", { [part]: "PasswordAuthentication no\n#Port 2200\n" }, [22]],
  ["a part of the configuration", { [part]: "Port 2200\n" }, [2200]],
  ["several ports, in any writing", { [part]: 'port=2200\n  PORT "22" # ours\n' }, [22, 2200]],
  ["several files", { [part]: "Port 2200\n", "/etc/ssh/sshd_config.d/a.conf": "Port 2201\n" }, [2200, 2201]],
  ["an address without a port", { [part]: "Port 2200\nListenAddress 192.0.2.1\n" }, [2200]],
  [
    "addresses with ports of their own",
    { [part]: "ListenAddress [2001:db8::1]:2201\nListenAddress 192.0.2.1:2202\n" },
    [2201, 2202],
  ],
  ["an IPv6 address alone", { [part]: "ListenAddress 2001:db8::22\n" }, [22]],
  ["its own configuration, which reads no parts", { [main]: "Port 2200\n", [part]: "Port 2201\n" }, [2200]],
  ["its own, which does", { [main]: `Include ${part}\nPort 2200\n`, [part]: "Port 2201\n" }, [2200, 2201]],
  ["a block for some", { [part]: "Port 2200\nMatch User x\n  Port 22\n" }, [2200]],
  ["a file that sshd does not read", { [`${part}.bak`]: "Port 2200\n" }, [22]],
])("reads the ports from %s", (_what, files, expected) => {
  expect(ports(files)).toEqual(expected);
});

it("reads files/ and templates too, and what is inline before them", () => {
  expect(ports({}, { files: { [part]: "Port 2200\n" } })).toEqual([2200]);
  expect(ports({ [part]: "Port 22\n" }, { files: { [part]: "Port 2200\n" } })).toEqual([22]);
  expect(ports({}, { template: "Port {{port}}\n" })).toEqual([2200]);
});
