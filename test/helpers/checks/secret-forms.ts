import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** What is read at a time; a hole of a file is that, too. */
const chunkBytes = 4 * 2 ** 20;
const nothing = Buffer.alloc(chunkBytes);

/**
 * As a secret may be found again: as it is, in base64 at any offset, hexadecimal, percent-encoded, escaped for JSON,
 * UTF-16, reversed. It is to be of letters and digits, which no other escaping changes, and random, so that no chance finds it.
 */
export function formsOf(plain: string): ReadonlyMap<string, Buffer> {
  const known = made.get(plain) ?? makeForms(plain);
  made.set(plain, known);
  return known;
}

const made = new Map<string, ReadonlyMap<string, Buffer>>();

function makeForms(plain: string): ReadonlyMap<string, Buffer> {
  const bytes = Buffer.from(plain);
  const hex = bytes.toString("hex");
  const each = (make: (byte: string) => string) => hex.replace(/../g, make);
  const forms: [string, string | Buffer][] = [
    ["plain", plain],
    ["hexadecimal", hex],
    ["hexadecimal, in capitals", hex.toUpperCase()],
    ["percent-encoded", each((byte) => `%${byte}`)],
    ["percent-encoded, in capitals", each((byte) => `%${byte.toUpperCase()}`)],
    ["escaped for JSON", each((byte) => `\\u00${byte}`)],
    ["escaped for C", each((byte) => `\\x${byte}`)],
    ["UTF-16", Buffer.from(plain, "utf16le")],
    ["UTF-16, the other way around", Buffer.from(plain, "utf16le").swap16()],
    ["reversed", [...plain].reverse().join("")],
  ];
  for (const at of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(at), bytes]).toString("base64");
    // What its neighbours have a part in is left out. Letters and digits give none of the characters that alphabets differ in.
    const [from, to] = [Math.ceil((at * 4) / 3), Math.floor(((at + bytes.length) * 4) / 3)];
    forms.push([`base64 at ${at}`, encoded.slice(from, to)]);
  }
  return new Map(forms.map(([name, form]) => [name, Buffer.from(form as string)]));
}

/** A place where a form of a secret is. */
export interface Hit {
  readonly secret: string;
  readonly form: string;
  readonly at: number;
}

/** Every place of any form of the secrets, by their names, in bytes. */
export function hitsIn(bytes: Buffer, secrets: ReadonlyMap<string, string>): Hit[] {
  const hits = new Map<string, Hit>();
  for (const [secret, plain] of secrets)
    for (const [form, wanted] of formsOf(plain))
      for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1))
        if (!hits.has(`${secret} ${at}`)) hits.set(`${secret} ${at}`, { secret, form, at });
  return [...hits.values()];
}

/** The same in a file of any size, read as it is stored. */
export function hitsInFile(file: string, secrets: ReadonlyMap<string, string>): Hit[] {
  const longest = Math.max(...[...secrets.values()].map((plain) => plain.length * 6));
  const hits = new Map<string, Hit>();
  const fd = openSync(file, "r");
  try {
    const chunk = Math.min(chunkBytes, fstatSync(fd).size);
    const buffer = Buffer.alloc(longest + chunk);
    // A form that begins in one chunk may end in the next.
    for (let start = 0, kept = 0; ; ) {
      const read = readSync(fd, buffer, kept, chunk, start);
      if (read === 0) return [...hits.values()];
      const isHole = read === chunkBytes && buffer.subarray(kept, kept + read).equals(nothing);
      const all = buffer.subarray(0, kept + (isHole ? longest : read));
      for (const hit of hitsIn(all, secrets)) {
        const at = start - kept + hit.at;
        hits.set(`${hit.secret} ${at}`, { ...hit, at });
      }
      const end = kept + read;
      const next = Math.min(longest, end);
      buffer.copyWithin(0, end - next, end);
      kept = next;
      start += read;
    }
  } finally {
    closeSync(fd);
  }
}

/** Files below a directory with any form of a secret in name or content; links are not followed, but what they say is looked at. */
export function filesWith(directory: string, secrets: ReadonlyMap<string, string>): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const found = lstatSync(path);
    const named = hitsIn(Buffer.from(name), secrets).length > 0 ? [path] : [];
    if (found.isDirectory()) return [...named, ...filesWith(path, secrets)];
    if (!found.isFile()) return named;
    return [...named, ...hitsInFile(path, secrets).map(({ secret, form }) => `${path}: ${secret}, ${form}`)];
  });
}
