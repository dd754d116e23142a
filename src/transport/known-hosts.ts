import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** One usable line of a known_hosts file. */
export interface KnownHost {
  readonly marker: "revoked" | "cert-authority" | undefined;
  readonly patterns: readonly string[];
  readonly type: string;
  /** base64, as in the file. */
  readonly key: string;
  readonly file: string;
  readonly line: number;
}

type Verdict =
  | { readonly kind: "known" }
  | { readonly kind: "unknown" }
  | { readonly kind: "changed"; readonly at: KnownHost }
  | { readonly kind: "revoked"; readonly at: KnownHost };

/** Skips lines that are no entries (comments, blank, damaged), as ssh does; a damaged line trusts no key. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  const entries: KnownHost[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const words = raw.trim().split(/\s+/);
    if (words[0] === "" || words[0]!.startsWith("#")) continue;
    const marker =
      words[0] === "@revoked" ? "revoked" : words[0] === "@cert-authority" ? "cert-authority" : undefined;
    if (words[0]!.startsWith("@") && marker === undefined) continue;
    const [patterns, type, key] = marker === undefined ? words : words.slice(1);
    if (patterns === undefined || type === undefined || key === undefined) continue;
    entries.push({ marker, patterns: patterns.split(","), type, key, file, line: index + 1 });
  }
  return entries;
}

/** Judges a host's key. `name` is as known_hosts writes it: "host", or "[host]:port" for another port than 22. */
export function judge(entries: readonly KnownHost[], name: string, key: Uint8Array): Verdict {
  const presented = Buffer.from(key).toString("base64");
  const mine = entries.filter(
    (entry) => entry.marker !== "cert-authority" && matchesHost(entry.patterns, name),
  );
  const same = mine.filter((entry) => equal(entry.key, presented));
  const revoked = same.find((entry) => entry.marker === "revoked");
  if (revoked !== undefined) return { kind: "revoked", at: revoked };
  if (same.length > 0) return { kind: "known" };
  const other = mine.find((entry) => entry.marker === undefined && entry.type === keyType(key));
  if (other !== undefined) return { kind: "changed", at: other };
  const anyType = mine.find((entry) => entry.marker === undefined);
  return anyType === undefined ? { kind: "unknown" } : { kind: "changed", at: anyType };
}

/** Key types known for a host: to ask for these, so that it does not answer with an unknown key. */
export function knownTypes(entries: readonly KnownHost[], name: string): string[] {
  const mine = entries.filter((entry) => entry.marker === undefined && matchesHost(entry.patterns, name));
  return [...new Set(mine.map((entry) => entry.type))];
}

export function hostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** "SHA256:…", as ssh shows it. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The same of a public key as text: "ssh-ed25519 AAAA…". */
export function fingerprintOf(line: string): string {
  return fingerprint(Buffer.from(line.split(" ")[1] ?? "", "base64"));
}

/** The type inside a public key blob: a length and a name (RFC 4253, 6.6). */
export function keyType(key: Uint8Array): string {
  const blob = Buffer.from(key);
  if (blob.length < 4) return "";
  return blob.subarray(4, 4 + blob.readUInt32BE(0)).toString("latin1");
}

function matchesHost(patterns: readonly string[], name: string): boolean {
  let found = false;
  for (const pattern of patterns) {
    if (pattern.startsWith("|1|")) found ||= matchesHash(pattern, name);
    else if (pattern.startsWith("!")) {
      if (glob(pattern.slice(1), name)) return false;
    } else found ||= glob(pattern, name);
  }
  return found;
}

function matchesHash(pattern: string, name: string): boolean {
  const [, , salt, hash] = pattern.split("|");
  if (hash === undefined) return false;
  return equal(createHmac("sha1", Buffer.from(salt!, "base64")).update(name).digest("base64"), hash);
}

function glob(pattern: string, name: string): boolean {
  const source = pattern
    .toLowerCase()
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(name);
}

function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
