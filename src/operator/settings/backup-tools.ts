import type { Data } from "../../schema/settings.ts";
import { shellWord } from "../../util/shell-word.ts";
import { serverOf, usesSsh } from "./backup-address.ts";

type Backup<T extends Data["backup"]["type"]> = Extract<Data["backup"], { type: T }>;

const usualKeep = { daily: 7, weekly: 5, monthly: 12 };
const connectSeconds = 30;

/**
 * What a program of backups does, as functions of bash: `save PATH…`, `prune`, `list`, `check`; `try`, which fails where nothing could
 * be restored; `bring PATH…`, which restores the latest, and `owns_by_number`, whether that goes by the numbers of users.
 */
export function toolPart(data: Data): string {
  const { backup } = data;
  switch (backup.type) {
    case "restic":
      return `${sshPart(backup)}${resticPart(backup, data)}`;
    case "borg":
      return `${sshPart(backup)}${borgPart(backup, data)}`;
    case "rsync":
      return `${sshPart(backup)}${rsyncPart(backup)}`;
    case "command":
      return commandPart(backup);
  }
}

/** How ssh is started, in one line, as each of the programs splits it. */
function sshPart(backup: Exclude<Data["backup"], { type: "command" }>): string {
  const server = serverOf(backup);
  if (server?.login === undefined || backup.ssh === undefined) return "";
  const { key, knownHosts } = backup.ssh;
  const lines = knownHosts.map((line) => ` ${shellWord(line)}`).join("");
  return `
printf '%s\\n'${lines} >"$work/known_hosts"
cat >"$work/ssh_config" <<END
Host *
  IdentityFile $(secret ${key})
  IdentitiesOnly yes
  BatchMode yes
  UserKnownHostsFile $work/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  ConnectTimeout ${connectSeconds}
  ServerAliveInterval 30
END
ssh="ssh -F $work/ssh_config"
# Says why there is no login, before a program says only that its connection is gone.
login() {
  local code=0
  $ssh -p ${server.port} ${server.login} "$@" </dev/null >/dev/null || code=$?
  [ $code != 255 ] || die ${shellWord(`there is no login at ${server.host} by SSH with the key and the known hosts of the definition`)}
}
`;
}

function keepWords({ keep = usualKeep }: Data): string {
  return Object.entries(keep)
    .flatMap(([kind, count]) => (count === undefined ? [] : [`--keep-${kind} ${count}`]))
    .join(" ");
}

/** Its password is a file, as its repository may be; keys of clouds it takes from its environment alone. */
function resticPart(backup: Backup<"restic">, data: Data): string {
  const { repository, password, environment } = backup;
  const server = serverOf(backup);
  const ssh =
    server?.login === undefined || backup.ssh === undefined
      ? ""
      : `options+=(-o "sftp.command=$ssh -p ${server.port} ${server.login} -s sftp")\n`;
  const variables =
    environment === undefined
      ? ""
      : `while IFS= read -r line || [ -n "$line" ]; do
  if [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]]; then export "\${line?}"; fi
done <"$(secret ${environment})"
`;
  const place =
    typeof repository === "string"
      ? `export RESTIC_REPOSITORY=${shellWord(repository)}`
      : `export RESTIC_REPOSITORY_FILE; RESTIC_REPOSITORY_FILE=$(secret ${repository.secret})`;
  const keep = keepWords(data);
  return `
${variables}${place}
export RESTIC_PASSWORD_FILE; RESTIC_PASSWORD_FILE=$(secret ${password})
export RESTIC_CACHE_DIR=$cache RESTIC_PROGRESS_FPS=0.2 HOME=\${HOME:-/root}
options=()
${ssh}own=(--host "$host" --tag imgbuild)
restic() { command restic "\${options[@]}" "$@"; }
save() {
  restic cat config >/dev/null 2>&1 || restic init
  restic backup "\${own[@]}" --exclude-file "$work/excludes" -- "$@"
}
prune() { ${keep === "" ? "true" : `restic forget "\${own[@]}" --group-by host,tags ${keep} --prune`}; }
list() { restic snapshots "\${own[@]}"; }
check() { restic check; }
try() {
  local found
  ${ssh === "" ? "" : "login -s sftp\n  "}found=$(restic snapshots --no-lock --latest 1 --json "\${own[@]}")
  case $found in
    *short_id*) restic snapshots --no-lock --latest 1 "\${own[@]}" ;;
    *) die "the repository holds no backup of $host" ;;
  esac
}
owns_by_number=yes
bring() {
  local path words=()
  for path in "$@"; do words+=(--include "$path"); done
  if command restic restore --help | grep -q -e --ownership-by-name; then
    owns_by_number=no
    words+=(--ownership-by-name)
  else
    # Before 0.17 it stumbled over links, pipes and sockets that are there already.
    for path in "$@"; do
      if [ -e "$path" ]; then find "$path" ! -type d '(' ! -type f -o -links +1 ')' -print0; fi
    done >"$work/again"
    xargs -0 --no-run-if-empty rm -f -- <"$work/again"
  fi
  restic snapshots --no-lock --latest 1 "\${own[@]}"
  restic restore latest "\${own[@]}" --no-lock --target / --verify "\${words[@]}"
}
`;
}

/** It verifies each piece of data as it is read; owners are restored by their names. */
function borgPart(backup: Backup<"borg">, data: Data): string {
  const { repository, password } = backup;
  const server = serverOf(backup);
  const asked =
    server?.login === undefined || backup.ssh === undefined
      ? `die "borg is not at hand"`
      : `login borg serve
    note "the server lets us in; the passphrase of the repository is not tried"`;
  const keep = keepWords(data);
  return `
export BORG_REPO=${shellWord(repository)}
export BORG_PASSCOMMAND; BORG_PASSCOMMAND="cat $(secret ${password})"
export BORG_BASE_DIR=$cache BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
${usesSsh(backup) && backup.ssh !== undefined ? "export BORG_RSH=$ssh\n" : ""}sed 's/^/sh:/' "$work/excludes" >"$work/patterns"
# 1: with warnings, as of a file that changed meanwhile.
borg() {
  local code=0
  command borg "$@" || code=$?
  if [ $code = 1 ]; then note "borg has warned; see above"; return 0; fi
  return $code
}
save() {
  command borg info >/dev/null 2>&1 || borg init --encryption=repokey-blake2
  borg create --stats --exclude-from "$work/patterns" "::$host-$(date --utc +%Y-%m-%dT%H:%M:%S)" "$@"
}
prune() {
  ${keep === "" ? "true" : `borg prune --glob-archives "$host-*" ${keep}\n  borg compact`}
}
list() { borg list --glob-archives "$host-*"; }
check() { borg check; }
latest() { borg list --bypass-lock --glob-archives "$host-*" --last 1 --short; }
try() {
  local found
  if ! type -P borg >/dev/null; then
    ${asked}
    return
  fi
  found=$(latest)
  [ -n "$found" ] || die "the repository holds no backup of $host"
  note "$found"
}
owns_by_number=no
bring() {
  local found path words=()
  found=$(latest)
  [ -n "$found" ] || die "the repository holds no backup of $host"
  note "$found"
  for path in "$@"; do words+=("\${path#/}"); done
  cd /
  borg extract --bypass-lock --progress --log-json "::$found" "\${words[@]}"
  cd "$OLDPWD"
}
`;
}

/** The other end keeps owners as attributes, so that it needs no root. */
function rsyncPart(backup: Backup<"rsync">): string {
  const server = serverOf(backup);
  const remote =
    server?.login === undefined || backup.ssh === undefined
      ? ""
      : ` -e "$ssh${server.port === 22 ? "" : ` -p ${server.port}`}" -M--fake-super`;
  return `
target=${shellWord(rsyncTarget(backup.target))}
how=(--archive --hard-links --acls --xattrs --numeric-ids --relative --exclude-from "$work/excludes")
far=(${remote.trim()})
# 24: a file was gone before it was read.
rsync() {
  local code=0
  command rsync "\${far[@]}" "$@" || code=$?
  if [ $code = 24 ]; then return 0; fi
  return $code
}
save() { rsync "\${how[@]}" --delete --mkpath "$@" "$target/"; }
prune() { true; }
list() { rsync --list-only "$target/"; }
check() { rsync "\${how[@]}" --checksum --dry-run --itemize-changes --ignore-missing-args "\${paths[@]}" "$target/"; }
try() {
  ${remote === "" ? "" : "login true\n  "}[ "$(rsync --list-only "$target/" | wc -l)" -gt 1 ] || die "$target holds no backup"
}
owns_by_number=yes
bring() {
  local path from=() differ
  for path in "$@"; do from+=("$target/.$path"); done
  rsync "\${how[@]}" --ignore-missing-args --info=progress2 --no-inc-recursive "\${from[@]}" / | stdbuf -oL tr '\\r' '\\n'
  differ=$(rsync "\${how[@]}" --ignore-missing-args --checksum --dry-run --itemize-changes "\${from[@]}" /)
  [ -z "$differ" ] || die "what was restored differs from the backup: $differ"
}
`;
}

/** rsync itself has no URL with a port for SSH. */
function rsyncTarget(target: string): string {
  const [, login, path] = /^ssh:\/\/([^/]*?)(?::\d+)?(\/.*)$/.exec(target) ?? [];
  return (login === undefined ? target : `${login}:${path}`).replace(/\/+$/, "");
}

function commandPart({ backup, restore, check, list }: Backup<"command">): string {
  return `
export EXCLUDES=$work/excludes
save() { run ${shellWord(backup)} "$@"; }
prune() { true; }
list() { ${list === undefined ? 'die "the definition has no command that lists"' : `run ${shellWord(list)}`}; }
check() { run ${shellWord(check)}; }
try() { check; }
owns_by_number=no
bring() {
  cd /
  run ${shellWord(restore)} "$@"
  cd "$OLDPWD"
}
`;
}
