import ssh2 from "ssh2";

/** An ed25519 key pair in OpenSSH's formats; `public` is "ssh-ed25519 AAAA…" without a comment. */
export function generateSshKey(comment: string): { private: string; public: string } {
  const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment });
  return { private: pair.private, public: pair.public.split(" ").slice(0, 2).join(" ") };
}

/** The public half of a private key file's text, or undefined when it is encrypted or no key. */
export function publicKeyOf(privateKey: string | Uint8Array, passphrase?: string): string | undefined {
  const parsed = ssh2.utils.parseKey(Buffer.from(privateKey), passphrase);
  if (parsed instanceof Error) return undefined;
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined) return undefined;
  return `${key.type} ${key.getPublicSSH().toString("base64")}`;
}
