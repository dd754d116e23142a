import { z } from "zod";
import { Line } from "./words.ts";

/** Words of a definition that become a few lines in a file of a known place. All of them may be left out. */

const Word = z
  .string()
  .regex(/^[!#-&(-[\]-~]+$/, "one word of printable ASCII without quotes and backslashes");

/** Kernel settings by name, set at each start: /etc/sysctl.d. */
export const Sysctl = z.record(
  z
    .string()
    .max(256)
    .regex(
      /^(abi|crypto|debug|dev|fs|kernel|net|sunrpc|user|vm|xen)(?!.*[./]{2})[./][A-Za-z0-9_*.@:/-]*[A-Za-z0-9_*]$/,
      'the name of a kernel setting such as "net.ipv4.ip_forward"',
    ),
  z.union([z.int(), Line.max(1024).regex(/^\S(.*\S)?$/, "one line of text without blanks around it")]),
);

/** More lines of /etc/hosts: names by address. */
export const Hosts = z.record(
  z.union([z.ipv4(), z.ipv6()]),
  z
    .array(
      z
        .string()
        .max(253)
        .regex(
          /^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*$/,
          "a host name",
        ),
    )
    .min(1),
);

const ModuleName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, "the name of a kernel module");

/** Kernel modules: what is loaded at each start, with which parameters, and what is never loaded. */
export const Modules = z.strictObject({
  load: z.array(ModuleName).default([]),
  /** Parameters by module: `{ loop: { max_loop: 64 } }`. */
  options: z
    .record(
      ModuleName,
      z.record(z.string().regex(/^[A-Za-z0-9_]+$/, "the name of a parameter"), z.union([z.int(), Word])),
    )
    .default({}),
  /** Neither loaded for hardware that asks for them, nor by `modprobe`. */
  blocked: z.array(ModuleName).default([]),
});
