# Shared by the base's scripts; sourced.
export PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8
state=/run/imgbuild

# To every console= of the command line, and to dmesg. The kernel refuses a line of 1 KiB.
say() { printf '<2>imgbuild: %.900s\n' "$*" > /dev/kmsg; }

# Copies lines to every console, and to a file.
tell() { # FILE
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$1"
    printf '<3>%.900s\n' "$line" > /dev/kmsg
  done
}

# Value of NAME=value on the kernel command line, "yes" for a bare NAME; the last one counts.
word() {
  found=
  for each in $(cat /proc/cmdline); do
    case $each in
      "$1="*) found=${each#*=} ;;
      "$1") found=yes ;;
    esac
  done
  echo "$found"
}
