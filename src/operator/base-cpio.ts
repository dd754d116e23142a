import { cpioBytes } from "../archive/cpio.ts";

/** Bytes before and after a file's content in an archive of that one file; the content itself is laid between by `cat`. */
export async function frame(
  name: string,
  size: number,
): Promise<{ readonly before: Uint8Array; readonly after: Uint8Array }> {
  // Headers are ASCII: the first 0xff is the content's.
  const whole = Buffer.from(await cpioBytes([{ type: "file", name, mode: 0o600, content: new Uint8Array(size).fill(0xff) }]));
  const start = size === 0 ? whole.length : whole.indexOf(0xff);
  return { before: whole.subarray(0, start), after: whole.subarray(start + size) };
}
