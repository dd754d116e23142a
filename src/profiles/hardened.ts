import type { Part } from "./merge.ts";

/**
 * Less for an attacker to work with, on a server that does common work. It needs a user with a key and sudo: no one logs in
 * by password or as root. Nothing comes in but SSH; name your own ports in `firewall`. Left as they are: kexec, by which the
 * next deploy starts; user namespaces, which containers need; and what Debian already does.
 */
export function hardened(): Part {
  return {
    packages: { install: ["nftables", "openssh-server"] },
    firewall: { tcp: [22] },
    sshd: {
      // Passwords are guessed all day long; keys are not.
      passwordAuthentication: false,
      // People log in by their own names, which the journal keeps.
      permitRootLogin: "no",
      // A server has no screen; forwarding one lets it at the screen of who logs in.
      options: { X11Forwarding: false },
    },
    sysctl: {
      // Addresses of the kernel, by which exploits find their way.
      "kernel.kptr_restrict": 1,
      // A program reads the memory of its own children alone, and not that of the user's SSH agent.
      "kernel.yama.ptrace_scope": 1,
      // Programs in the kernel's BPF are made harder to misuse, also root's.
      "net.core.bpf_jit_harden": 2,
      // Old terminal protocols are loaded when root asks for them, not when any user does.
      "dev.tty.ldisc_autoload": 0,
      // In /tmp and its like, a file that another user has put there is not opened in the belief that it is one's own.
      "fs.protected_fifos": 2,
      "fs.protected_regular": 2,
      // A server knows its gateway; others on the network cannot name another, nor does it name any.
      "net.ipv4.conf.all.accept_redirects": 0,
      "net.ipv4.conf.default.accept_redirects": 0,
      "net.ipv6.conf.all.accept_redirects": 0,
      "net.ipv6.conf.default.accept_redirects": 0,
      "net.ipv4.conf.all.send_redirects": 0,
      "net.ipv4.conf.default.send_redirects": 0,
    },
    modules: {
      blocked: [
        // Protocols that any user could have loaded, with a history of holes.
        ...["dccp", "rds", "sctp", "tipc"],
        // Filesystems of other systems and devices, which a prepared medium could have loaded.
        ...["cramfs", "freevxfs", "hfs", "hfsplus", "jffs2"],
      ],
    },
    // What people make on the server is not for all to read.
    files: { "/etc/profile.d/50-umask.sh": { content: "umask 027\n" } },
  };
}
