import { describe, expect, it } from "vitest";
import { type Output, outputOf } from "../../../../src/operator/output/output.ts";
import { exitCodes, Fail } from "../../../../src/util/fail.ts";

type Options = Parameters<typeof outputOf>[1];

describe("what is made", () => {
  it.each<[string, Options, Output]>([
    ["web", {}, { format: "raw", compress: undefined }],
    ["web.example.org", {}, { format: "raw", compress: undefined }],
    ["out/web.img", {}, { format: "raw", compress: undefined }],
    ["web.qcow2", {}, { format: "qcow2", compress: undefined }],
    ["web.vmdk", {}, { format: "vmdk", compress: undefined }],
    ["web.vhdx.gz", {}, { format: "vhdx", compress: "gzip" }],
    ["web.raw.zst", {}, { format: "raw", compress: "zstd" }],
    ["web.img.xz", { format: "raw", compress: "xz" }, { format: "raw", compress: "xz" }],
    ["web.zst", {}, { format: "raw", compress: "zstd" }],
    ["web.tgz", {}, { format: "tar", compress: "gzip" }],
    ["web.tar.zst", { format: "tar" }, { format: "tar", compress: "zstd" }],
    ["web.sqfs", {}, { format: "squashfs", compress: undefined }],
    ["web.erofs", {}, { format: "erofs", compress: undefined }],
    ["web.d", { format: "dir" }, { format: "dir", compress: undefined }],
    ["web.oci", { compress: "zstd" }, { format: "oci", compress: "zstd" }],
    ["web.oci.tar", {}, { format: "oci-tar", compress: undefined }],
    ["layout", { format: "oci" }, { format: "oci", compress: undefined }],
  ])("of %s with %o is %o", (file, options, made) => {
    expect(outputOf(file, options)).toEqual(made);
  });

  it.each<[string, Options, RegExp]>([
    ["x", { format: "iso" }, /^--format iso: raw, qcow2, .* are accepted$/],
    ["x", { compress: "lzma" }, /^--compress lzma: zstd, gzip, xz are accepted$/],
    ["out/web.qcow2", { format: "raw" }, /^--format raw: the name web\.qcow2 is that of a qcow2 file$/],
    ["web.tar", { format: "dir" }, /is that of a tar file/],
    ["web.oci.tar", { format: "tar" }, /is that of a oci-tar file/],
    ["web.vdi", {}, /\.vdi is no format that can be made/],
    ["web.raw.bz2", {}, /\.bz2 is no format/],
    ["web.raw.gz", { compress: "zstd" }, /^--compress zstd: the name web\.raw\.gz is that of a gzip file$/],
    ["web.raw", { compress: "zstd" }, /does not say so; name it web\.raw\.zst$/],
    ["web", { format: "dir", compress: "zstd" }, /a directory cannot be compressed/],
    ["web.qcow2", { compress: "zstd" }, /qcow2 is compressed inside/],
    ["web.squashfs.xz", {}, /squashfs is compressed inside/],
    ["web.oci", { compress: "xz" }, /layers of an OCI image are gzip or zstd/],
    ["web.oci.tar.gz", {}, /not compressed as a whole/],
  ])("of %s with %o is refused as wrong usage", (file, options, message) => {
    const thrown = (() => {
      try {
        return outputOf(file, options);
      } catch (error) {
        return error as Fail;
      }
    })();
    expect(thrown).toBeInstanceOf(Fail);
    expect(thrown).toMatchObject({ exitCode: exitCodes.usage, message: expect.stringMatching(message) });
  });
});
