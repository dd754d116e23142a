import { describe, expect, it } from "vitest";
import { biosImageArgv, isoArgv } from "../../../../src/operator/rescue/iso.ts";

describe("the tools that make an ISO", () => {
  it("get all that decides its bytes", () => {
    const files = [
      { path: "boot/grub/grub.cfg", name: "boot/grub.cfg" },
      { path: "imgbuild/base/kernel", name: "kernel", ofBase: true },
    ];
    const about = { name: "medium.iso", volume: "IMGBUILD_0123456789ABCDEF", id: "a-uuid", epoch: 7 };
    expect(isoArgv(files, about).join(" ")).toBe(
      [
        "xorriso -no_rc -report_about WARNING -as mkisofs -rational-rock -iso-level 3",
        "-volid IMGBUILD_0123456789ABCDEF --set_all_file_dates =7 -output /work/medium.iso",
        "--grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img --protective-msdos-label --mbr-force-bootable",
        "-partition_offset 16 -partition_cyl_align off --gpt_disk_guid a-uuid",
        "-iso_mbr_part_type a2a0d0ebe5b9334487c068b6b72699c7",
        "-append_partition 2 28732ac11ff8d211ba4b00a0c93ec93b /work/boot/esp.img -appended_part_as_gpt",
        "-c boot/grub/boot.cat -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info",
        "-eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -graft-points",
        "boot/grub/grub.cfg=/work/boot/grub.cfg imgbuild/base/kernel=/base/kernel",
      ].join(" "),
    );
  });

  it("make a GRUB for BIOS that reads no module from the medium", () => {
    const argv = biosImageArgv("/work/boot");
    expect(argv.slice(0, 11)).toEqual([
      ...["grub-mkimage", "--format", "i386-pc-eltorito", "--prefix", "/boot/grub"],
      ...["--directory", "/usr/lib/grub/i386-pc", "--config", "/work/boot/embedded.cfg"],
      ...["--output", "/work/boot/bios.img"],
    ]);
    for (const module of ["biosdisk", "iso9660", "search_label", "linux", "normal", "serial"])
      expect(argv).toContain(module);
  });
});
