import { z } from "zod";

/** What an escrow says of itself, as `escrow.json` in it. */
export const Manifest = z.strictObject({
  version: z.literal(1),
  hostname: z.string(),
  /** When it was made, in ISO 8601. */
  made: z.string(),
  /** Digest of spec, lock and files. */
  definition: z.string(),
  /** Path of the definition's directory below `repository/`; "" for the top. */
  place: z.string(),
  /** The host that was asked; undefined where none was. */
  host: z.string().optional(),
  /** What a rebuild needs by this definition. */
  wanted: z.strictObject({
    /** It has secrets, which an identity opens. */
    identity: z.boolean(),
    /** Names of secrets that open disks, or sign what the firmware starts. */
    keys: z.array(z.string()),
    /** LUKS volumes by the names of their mappings. */
    volumes: z.array(z.string()),
    /** Disks with a partition table. */
    disks: z.int(),
  }),
  /** SHA-256 of each other file in it, by its path. */
  files: z.record(z.string(), z.string()),
});
export type Manifest = z.output<typeof Manifest>;
export type Wanted = Manifest["wanted"];

export const manifestName = "escrow.json";

/** Where things are in an escrow. */
export const places = {
  /** The repository's files, as they were. */
  repository: "repository/",
  /** Identities of age, or SSH keys, that open the secrets. */
  identity: "identity/",
  /** Secrets that open disks or sign, in plain text, by their names. */
  keys: "keys/",
  /** Of the host: `luks/NAME.header`, where NAME is that of the mapping, or the header's UUID. */
  luks: "host/luks/",
  /** Dumps of sfdisk, by the disk's name. */
  tables: "host/tables/",
  hostKeys: "host/ssh/",
  machineId: "host/machine-id",
  /** What was named by --add. */
  added: "added/",
} as const;

/** What is not in an escrow although a rebuild would need it, a line each. `names`: paths of the files in it. */
export function missingIn({ identity, keys, volumes, disks }: Wanted, names: readonly string[]): string[] {
  const below = (place: string) =>
    names.filter((name) => name.startsWith(place)).map((name) => name.slice(place.length));
  const headers = below(places.luks).map((name) => name.replace(/\.header$/, ""));
  // A header that was closed is known by its UUID alone, and may be any of them.
  const unnamed = headers.filter((name) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name));
  const noHeader = volumes.filter((name) => !headers.includes(name)).slice(unnamed.length);
  const noKey = keys.filter((name) => !below(places.keys).includes(name));
  const host = "give --host HOST";
  return [
    ...(identity && below(places.identity).length === 0
      ? ["no identity that opens the secrets; give -i FILE"]
      : []),
    ...noKey.map((name) => `the secret ${name}, which opens a disk or signs; it could not be opened`),
    ...noHeader.map((name) => `the LUKS header of ${name}; ${host}`),
    ...(disks > below(places.tables).length
      ? [`partition tables of ${disks - below(places.tables).length} of ${disks} disks; ${host}`]
      : []),
    ...(below(places.hostKeys).length === 0 ? [`the host's SSH host keys; ${host}`] : []),
    ...(names.includes(places.machineId) ? [] : [`the host's machine-id; ${host}`]),
  ];
}
