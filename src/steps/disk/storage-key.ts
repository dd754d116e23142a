/** A passphrase as it is typed: without the newline that ends its file. */
export function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  return bytes.subarray(0, end);
}
