import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

const pieceBytes = 2 ** 20;

/** SHA-256 of a file, in the memory of one piece of it. */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: pieceBytes })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
