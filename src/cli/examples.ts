import { stockRelease } from "../tables/release.ts";

/** What `--help` shows below the options of a command, by the words that call it: a line to type, and what it does. */
export const examples: Readonly<Record<string, readonly (readonly [line: string, does: string])[]>> = {
  init: [
    ["imgbuild init hosts/db", "one more host of a repository with a hosts.yaml"],
    ["imgbuild init web", "a repository to start from, in the new directory web"],
    ["imgbuild init web --from root@192.0.2.10", "with that host's disk, network and key in it"],
    [
      "imgbuild init web --disk S3Z8NB0K --address 192.0.2.10/24 --gateway 192.0.2.1 --dns 192.0.2.53",
      "with these",
    ],
  ],
  hosts: [["imgbuild hosts", "the names that DEF and HOST may be"]],
  lock: [
    ["imgbuild lock web", "choose packages where the lock lacks them"],
    ["imgbuild lock web --update nginx", "take the newest nginx, and what it needs"],
  ],
  sbom: [["imgbuild sbom web --format cyclonedx -o web.cdx.json", "what is in it, for a scanner"]],
  vendor: [["imgbuild vendor web debs", "all its packages, for `imgbuild build web --vendor debs`"]],
  "store add": [
    ["imgbuild store add web --store /srv/store", "keep all its packages, for when the mirrors drop them"],
    ["imgbuild store add web --store oci://registry.example.org/imgbuild", "the same in a registry"],
  ],
  "store verify": [["imgbuild store verify /srv/store", "is all of it there, and as it was?"]],
  "store gc": [["imgbuild store gc /srv/store --keep web db", "remove what neither of them needs"]],
  "store key": [["imgbuild store key", "what definitions name the store with, in system.stores"]],
  build: [
    ["imgbuild build web -o web.raw", "a disk image"],
    ["imgbuild build web -o web.qcow2 --minimize", "a small one for QEMU; it grows when it starts"],
    ["imgbuild build web -o web.raw --report web.json", "and web.html: times, disks, packages, SHA-256"],
  ],
  test: [
    ["imgbuild test web", "build it, boot it in QEMU, run its checks"],
    ["imgbuild test web --deploy", "rehearse its deploy onto a stock Debian host in QEMU"],
  ],
  run: [
    ["imgbuild run web", "boot it, with its console in this terminal"],
    [`imgbuild run stock:${stockRelease} --dir host`, "a server to practise a deploy on, kept in host"],
  ],
  shell: [["imgbuild shell web", "a root shell in it, booted in QEMU"]],
  plan: [
    ["imgbuild plan web", "what a deploy would do to the host web of hosts.yaml"],
    ["imgbuild plan web root@192.0.2.10", "what a deploy would do to each disk there"],
    [
      "imgbuild plan web root@192.0.2.10 --disk system=serial:S4EVNX0M",
      "on another machine: that disk is the definition's disk system",
    ],
    ["imgbuild plan web --commands", "the commands of each step, without a host"],
  ],
  deploy: [
    ["imgbuild deploy web", "web is a host of hosts.yaml: show the plan, ask, and replace its system"],
    ["imgbuild deploy web root@192.0.2.10", "show the plan, ask, and replace the system there"],
    ["imgbuild deploy web --restore", "with the data of its backup"],
    [
      "imgbuild deploy web --takeover boot-entry",
      "by an entry of the host's own bootloader, for a machine on which kexec hangs",
    ],
    [
      "imgbuild deploy web --build-on local",
      "make the new system here, so that the host is down for minutes less",
    ],
    [
      "imgbuild deploy web --build-on host",
      "make it on the host while the old system runs: nothing but the base is sent",
    ],
    [
      "imgbuild deploy web root@192.0.2.10 --unattended --yes-wipe S3Z8NB0K",
      "ask nothing: the disk with that serial is written",
    ],
  ],
  "escrow make": [
    [
      "imgbuild escrow make web -o web.escrow --host root@192.0.2.10",
      "definition, identity, keys and the host's headers, opened by a passphrase",
    ],
    ["imgbuild escrow make web -o web.escrow --page web.html", "and a page to print and lock away"],
  ],
  "escrow check": [["imgbuild escrow check web.escrow web", "whether it opens, and is still whole"]],
  "escrow open": [["imgbuild escrow open web.escrow -o found", "all of it, into the new directory found"]],
  follow: [["imgbuild follow root@192.0.2.10", "watch a deploy that was begun from here"]],
  resume: [
    ["imgbuild resume root@192.0.2.10", "let a failed build try again"],
    ["imgbuild resume root@192.0.2.10 --with web", "with the definition as it is now"],
  ],
  unlock: [
    ["imgbuild unlock root@192.0.2.10", "ask for the passphrase, and wait until the host runs"],
    ["imgbuild unlock root@192.0.2.10 --definition web", "by the definition's secrets"],
  ],
  "rescue-boot": [
    [
      "imgbuild rescue-boot root@192.0.2.10",
      "ask, restart into the rescue system on its disk, and wait for it",
    ],
    ["imgbuild rescue-boot root@192.0.2.10 --yes web", "ask nothing: it is the host that calls itself web"],
  ],
  abort: [["imgbuild abort root@192.0.2.10", "back to the old system, while nothing is written"]],
  rescue: [
    ["imgbuild rescue web -o web.iso", "a medium for disc or USB that rebuilds web, packages from a mirror"],
    ["imgbuild rescue web --offline -o web.iso", "the same with the finished system on it"],
    [
      "imgbuild rescue web --test --report drill.json",
      "try it in a virtual machine; drill.html is a page that shows what came back, and how fast",
    ],
    [
      "imgbuild rescue web --unlock tang:http://192.0.2.10,thumbprint=LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4 -o web.iso",
      "in the network of that tang server its secrets open with nothing typed",
    ],
    [
      "imgbuild rescue web --unlock tpm2:root@192.0.2.20 -o web.iso",
      "so they do in that machine, by its TPM, as long as its board lives",
    ],
    ["imgbuild rescue web --format pxe -o pxe", "a directory that a web server serves"],
    [
      "imgbuild rescue web --without-identity -o web.iso",
      "nothing on it opens the secrets; see `secrets send`",
    ],
  ],
  backup: [
    ["imgbuild backup web now", "back up the data of the host web of hosts.yaml, and watch"],
    ["imgbuild backup root@192.0.2.10 list", "what there is to restore"],
  ],
  "secrets keygen": [
    ["imgbuild secrets keygen", "your identity; put the recipient it prints into secrets/recipients"],
    ["imgbuild secrets keygen ops.txt --passphrase", "one in another file, encrypted"],
  ],
  "secrets show": [["imgbuild secrets show secrets/password.age", "its plain text"]],
  "secrets edit": [
    ["imgbuild secrets edit secrets/password.age", "in $EDITOR; with text on stdin, that text"],
  ],
  "secrets rekey": [["imgbuild secrets rekey secrets", "after a change of secrets/recipients"]],
  "secrets check": [["imgbuild secrets check web", "whether you can open all that a deploy needs"]],
  "secrets send": [
    [
      "imgbuild secrets send root@192.0.2.10 --base-key SHA256:0000000000000000000000000000000000000000000",
      "to a machine that runs a rescue medium, whose console shows that key",
    ],
  ],
  "base build": [["imgbuild base build", "make it now, so that the first deploy need not"]],
  "base show": [["imgbuild base show", "where its files are, and their SHA-256"]],
  "base remove": [["imgbuild base remove", "take the bases out of the cache"]],
  "cache show": [["imgbuild cache show", "what takes the room"]],
  "cache gc": [["imgbuild cache gc --max-size 10GiB --dry-run", "what would go"]],
  doctor: [
    ["imgbuild doctor", "what to install on this machine; it offers to do so"],
    ["imgbuild doctor --install", "install it without asking"],
  ],
  completion: [
    ["imgbuild completion bash", "put it into ~/.local/share/bash-completion/completions/imgbuild"],
    ["imgbuild completion zsh", "put it into a file `_imgbuild` in a directory of $fpath"],
    ["imgbuild completion fish", "put it into ~/.config/fish/completions/imgbuild.fish"],
  ],
};
