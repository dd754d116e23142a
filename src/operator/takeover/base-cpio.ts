import { cpioBytes } from "../../archive/cpio.ts";

/** Bytes before and after a file's content in an archive of that one file; the content itself is laid between by `cat`. */
export async function frame(
  name: string,
  size: number,
): Promise<{ readonly before: Uint8Array; readonly after: Uint8Array }> {
  // Headers are ASCII: the first 0xff is the content's.
  const whole = Buffer.from(
    await cpioBytes([{ type: "file", name, mode: 0o600, content: new Uint8Array(size).fill(0xff) }]),
  );
  const start = size === 0 ? whole.length : whole.indexOf(0xff);
  return { before: whole.subarray(0, start), after: whole.subarray(start + size) };
}

/**
 * What is put between and after the base's files in a deploy's initramfs: kernel, outer and kit are between them, in that
 * order, so that the base has itself at hand; the last part ends with the deploy's own archive.
 */
export async function deployParts(
  sizes: { readonly kernel: number; readonly outer: number; readonly kit: number },
  deploy: Uint8Array,
): Promise<Uint8Array[]> {
  const kernel = await frame("imgbuild/base/kernel", sizes.kernel);
  const outer = await frame("imgbuild/base/outer", sizes.outer);
  const kit = await frame("imgbuild/base/kit", sizes.kit);
  return [
    kernel.before,
    Buffer.concat([kernel.after, outer.before]),
    Buffer.concat([outer.after, kit.before]),
    Buffer.concat([kit.after, deploy]),
  ];
}
