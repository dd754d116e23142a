import type { Spec, SpecInput } from "../../../src/schema/spec.ts";
import { serverSpec } from "./deployable.ts";

/** A server whose root is on LUKS; `unlock` of it, `also` of data on another volume, `change` of the rest. */
export function sshSpec(
  unlock: object = { type: "ssh" },
  { also, ...change }: Partial<SpecInput> & { also?: object } = {},
): Spec {
  const volume = (name: string, mount: string, how: object) => ({
    ...{ name, type: "linux-luks", size: "1GiB" },
    content: { type: "luks", name, key: "disk-key", unlock: how, content: { type: "ext4", mount } },
  });
  const partitions = [
    { name: "esp", type: "esp", size: "256MiB", content: { type: "vfat", mount: "/efi" } },
    volume("root", "/", unlock),
    ...(also === undefined ? [] : [volume("data", "/srv", also)]),
  ];
  return serverSpec({
    storage: { disks: { system: { match: { serial: "SYS" }, table: { type: "gpt", partitions } } } },
    boot: { firmware: ["uefi"] },
    secrets: { "disk-key": { file: "disk-key.age" } },
    ...change,
  } as never);
}
