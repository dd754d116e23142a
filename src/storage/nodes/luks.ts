import type { StepData } from "../../schema/plan.ts";
import type { Luks, Unlock } from "../../schema/storage-content.ts";
import { askTang } from "../../steps/disk/ask-tang.ts";
import { enrollClevis } from "../../steps/disk/enroll-clevis.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { closeLuks, openLuks } from "../../steps/disk/open-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { contentUuid } from "../graph/ids.ts";
import type { Commands, ContentType, Site } from "./node.ts";

/** Of the usual cipher, aes-xts-plain64, and of what opens its header; by the names of the files, which aliases are not. */
const modules = [
  ...["dm-crypt", "dm-mod", "aes_generic", "aesni_intel", "xts", "sha256_generic"],
  ...["algif_skcipher", "af_alg"],
];

export const luks: ContentType<Luks> = {
  needs: ({ unlock }, early) => ({
    packages: [
      "cryptsetup",
      early ? "cryptsetup-initramfs" : "systemd-cryptsetup",
      ...clevisPackages(unlock, early),
      ...(unlock.type === "ssh" && early ? ["dropbear-initramfs"] : []),
    ],
    modules: [...modules, ...(unlock.type === "tpm2" ? ["tpm_tis", "tpm_crb"] : [])],
  }),
  create: (content, site) => [
    ...(content.keep === undefined
      ? [
          stepData(makeStorage, `encrypting ${site.what} as ${content.name}`, {
            commands: formatCommands(content, site),
            epoch: site.epoch,
          }),
        ]
      : []),
    ...open(content, site),
  ],
  open,
  close: (content, { seed, what }) => [
    stepData(closeLuks, `closing ${what}`, { name: content.name, uuid: luksUuid(seed, content) }),
  ],
  crypttab: (content, { device, header, keyFile, early, seed }) => {
    const words = [
      "luks",
      ...(content.discard ? ["discard"] : []),
      ...(header === undefined ? [] : [`header=${header}`]),
      // The hook of cryptsetup-initramfs looks for the root's devices, and there are none where a tree is made.
      ...(early ? ["initramfs"] : content.unlock.type === "tang" ? ["_netdev"] : []),
      ...content.options,
    ];
    const own = header === undefined ? `UUID=${luksUuid(seed, content)}` : device;
    return [`${content.name} ${own} ${keyFile ?? "none"} ${words.join(",")}`];
  },
};

/** UUID in a LUKS header; the same for fstab, crypttab and device-mapper. */
export function luksUuid(seed: string, { name, uuid, keep }: Pick<Luks, "name" | "uuid" | "keep">): string {
  return keep?.uuid ?? uuid ?? contentUuid(seed, "luks", "luks:", name);
}

/** Before the first write: a tang server says its keys, by which the volume will be enrolled. */
export function tangSteps({ unlock, name }: Luks): StepData[] {
  if (unlock.type !== "tang") return [];
  const { url, thumbprint } = unlock;
  return [stepData(askTang, `asking the tang server ${url}`, { url, thumbprint, file: tangFile(name) })];
}

/** What the tree's own clevis does once it is there: another key slot, opened by TPM or tang. */
export function enrollSteps(content: Luks, { device, header }: Pick<Site, "device" | "header">): StepData[] {
  const { unlock, name, key } = content;
  const clevis = clevisPin(unlock);
  if (clevis === undefined) return [];
  return [
    stepData(enrollClevis, `letting ${unlock.type === "tang" ? unlock.url : "the TPM"} open ${name}`, {
      device: header ?? device,
      secret: key,
      ...clevis,
      ...(unlock.type === "tang" ? { advertisement: tangFile(name) } : {}),
    }),
  ];
}

/** How clevis calls a way of unlocking, and what it is told of it; undefined for what is none of its ways. */
export function clevisPin(
  unlock: Unlock,
): { readonly pin: "tpm2" | "tang"; readonly config: string } | undefined {
  if (unlock.type === "tang")
    return { pin: "tang", config: JSON.stringify({ url: unlock.url, thp: unlock.thumbprint }) };
  if (unlock.type !== "tpm2") return undefined;
  const registers = unlock.pcrs.length === 0 ? {} : { pcr_bank: "sha256", pcr_ids: unlock.pcrs.join(",") };
  return { pin: "tpm2", config: JSON.stringify(registers) };
}

/** RAM of the base. */
function tangFile(name: string): string {
  return `/run/imgbuild/tang-${name}.json`;
}

/** Bytes of a key file count all; a passphrase ends before the newline that nobody types. */
export function isTrimmed({ unlock }: Pick<Luks, "unlock">): boolean {
  return unlock.type !== "key-file";
}

function open(content: Luks, { device, header, seed, what }: Site): StepData[] {
  const { name, key, discard } = content;
  return [
    stepData(openLuks, `opening ${what} as ${name}`, {
      device,
      ...(header === undefined ? {} : { header }),
      name,
      uuid: luksUuid(seed, content),
      secret: key,
      trim: isTrimmed(content),
      discard,
    }),
  ];
}

function formatCommands(content: Luks, { device, header, seed }: Site): Commands {
  const { key, recoveryKey, kdf } = content;
  const trim = isTrimmed(content);
  const costs =
    kdf === undefined
      ? []
      : [
          "--pbkdf=argon2id",
          `--pbkdf-memory=${kdf.memory / 1024}`,
          `--pbkdf-force-iterations=${kdf.iterations}`,
          "--pbkdf-parallel=1",
        ];
  const apart = header === undefined ? [] : ["--header", { device: header }];
  const format = [
    "luksFormat",
    "--type=luks2",
    "--batch-mode",
    `--uuid=${luksUuid(seed, content)}`,
    ...costs,
  ];
  const add = ["luksAddKey", "--batch-mode", ...costs, ...apart, "--key-file=-", "--keyfile-size=FIRST"];
  return [
    {
      program: "cryptsetup",
      args: [...format, ...apart, "--key-file=-", { device }],
      secrets: [{ name: key, trim }],
    },
    ...(recoveryKey === undefined
      ? []
      : [
          {
            program: "cryptsetup" as const,
            args: [...add, { device }, "-"],
            secrets: [
              { name: key, trim },
              { name: recoveryKey, trim: true },
            ],
          },
        ]),
  ];
}

function clevisPackages({ type }: Unlock, early: boolean): string[] {
  if (type !== "tpm2" && type !== "tang") return [];
  const how = early ? "clevis-initramfs" : "clevis-systemd";
  return ["clevis", "clevis-luks", how, ...(type === "tpm2" ? ["clevis-tpm2"] : ["curl"])];
}
