// The part of it that is used.
declare module "qr" {
  export default function encodeQR(
    text: string,
    output: "svg",
    options?: { readonly ecc?: "low" | "medium" | "quartile" | "high" },
  ): string;
}
