import { knownSecrets, type Secret } from "./secret.ts";

/** Shorter ones are found in ordinary words, and a name in place of each would tell them. */
const leastCharacters = 8;
/** Of a secret; what is larger is no text that a program repeats. */
const mostBytes = 64 * 1024;

/**
 * A text of somebody else's, as the end of what a failed program printed, without the secrets that this process holds: as they are,
 * line by line, in base64 (broken into lines, too), hexadecimal, and as URLs and JSON write them.
 */
export function redacted(text: string): string {
  let shown = text;
  for (const secret of knownSecrets())
    for (const form of formsOf(secret)) if (shown.includes(form)) shown = shown.replaceAll(form, `${secret}`);
  return shown;
}

/** The longest first, so that no part of one is left. */
function formsOf(secret: Secret): string[] {
  const bytes = Buffer.from(secret.expose());
  if (bytes.length > mostBytes || bytes.every((byte) => byte === 0)) return [];
  const base64 = bytes.toString("base64");
  const text = bytes.toString("utf8");
  const lines = text.includes("\ufffd") ? [] : [text, text.trim(), ...text.split(/\r?\n/)];
  const forms = [
    ...lines.flatMap((line) => [line, encodeURIComponent(line), JSON.stringify(line).slice(1, -1)]),
    ...lines.map((line) => withoutEnd(Buffer.from(line).toString("base64"))),
    ...[64, 76].flatMap((width) => base64.match(new RegExp(`.{1,${width}}`, "g")) ?? []),
    ...[withoutEnd(base64), withoutEnd(bytes.toString("base64url"))],
    ...[bytes.toString("hex"), bytes.toString("hex").toUpperCase()],
  ];
  return [...new Set(forms)]
    .filter((form) => form.length >= leastCharacters)
    .sort((a, b) => b.length - a.length);
}

/** The last characters depend on what follows. */
function withoutEnd(base64: string): string {
  return base64.replace(/.?=*$/, "");
}
