import type { Data } from "../../schema/settings.ts";
import type { Spec } from "../../schema/spec.ts";
import { shellWord } from "../../util/shell-word.ts";
import { toolPart } from "./backup-tools.ts";

/** The program that backs up and restores, on the new system and in the base. */
export const backupProgram = "/usr/local/sbin/imgbuild-backup";
const stateDirectory = "/var/lib/imgbuild";
/** Where dumps are while a backup is made; a part of every backup. */
const dumpsDirectory = `${stateDirectory}/dumps`;
/** Dumps that a restore has brought, until they are loaded. */
export const loadDirectory = `${stateDirectory}/load`;

/** A database with its commands. */
interface DatabaseCommands {
  readonly name: string;
  readonly dump: string;
  readonly load: string;
  readonly after: readonly string[];
  readonly before: readonly string[];
  /** Programs of which the tree has to have each. */
  readonly programs: readonly string[];
}

/** A role that is there already, as the server's own, is left as it is. */
const rolesOnce =
  "sed 's/^CREATE ROLE \\(.*\\);$/DO $do$ BEGIN IF to_regrole($role$\\1$role$) IS NULL THEN CREATE ROLE \\1; END IF; END $do$;/'";
const asPostgres = "cd / && runuser -u postgres --";

/** What dumps and loads each database. Names of dumps are those of the databases. */
export function databaseCommands({ databases }: Pick<Data, "databases">): DatabaseCommands[] {
  return databases.map((one): DatabaseCommands => {
    const { before } = one;
    if ("postgresql" in one) {
      const name = one.postgresql;
      return {
        ...{ name, before, after: ["postgresql.service"], programs: ["pg_dump", "psql", "runuser"] },
        dump: `${asPostgres} pg_dumpall --roles-only | ${rolesOnce}\n${asPostgres} pg_dump --create --clean --if-exists --dbname=${shellWord(name)}`,
        load: `${asPostgres} psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=postgres >/dev/null`,
      };
    }
    if ("mariadb" in one) {
      const name = one.mariadb;
      return {
        ...{ name, before, after: ["mariadb.service"], programs: ["mariadb-dump", "mariadb"] },
        dump: `mariadb-dump --single-transaction --routines --events --triggers --add-drop-database --databases ${shellWord(name)}`,
        load: "mariadb",
      };
    }
    return { ...one, programs: [] };
  });
}

/** The text of the program: the data of the definition, and what is done with it. */
export function backupScript(spec: Pick<Spec, "hostname" | "secrets">, data: Data): string {
  const databases = databaseCommands(data);
  const credentials = backupSecrets(data).map(
    (name) => `--property=LoadCredential=${name}:${spec.secrets[name]?.path ?? ""}`,
  );
  const cases = (verb: "dump" | "load") =>
    databases.map(({ name, ...one }) => `    ${shellWord(name)}) run ${shellWord(one[verb])} ;;\n`).join("");
  return `#!/bin/bash
# Made by imgbuild from \`data\` of the definition. Usage: imgbuild-backup now|list|check|try|load|restore [-- PATH…]
set -euo pipefail
umask 077
host=${shellWord(spec.hostname)}
paths=(${words(data.paths)})
excludes=(${words(data.exclude)})
databases=(${words(databases.map(({ name }) => name))})
dumps=${dumpsDirectory}
load=${loadDirectory}
credentials=(${words(credentials)})
${common}
run() { bash -euo pipefail -c "$1" backup "\${@:2}"; }
dump() {
  case $1 in
${cases("dump")}    *) die "no database $1" ;;
  esac
}
load() {
  case $1 in
${cases("load")}    *) die "no database $1" ;;
  esac
}
${toolPart(data)}
${verbs}`;
}

/** Names of the secrets that it reads, each once. */
export function backupSecrets({ backup }: Pick<Data, "backup">): string[] {
  if (backup.type === "command") return [...new Set(backup.secrets)];
  const names = [backup.ssh?.key];
  if (backup.type !== "rsync") names.push(backup.password);
  if (backup.type === "restic") {
    names.push(backup.environment);
    if (typeof backup.repository === "object") names.push(backup.repository.secret);
  }
  return [...new Set(names.filter((name) => name !== undefined))];
}

function words(all: readonly string[]): string {
  return all.map((word) => `\n  ${shellWord(word)}`).join("") + (all.length === 0 ? "" : "\n");
}

/** Secrets come by systemd, or in the base by imgbuild; whoever types the command as root gets them by systemd too. */
const common = `
note() { echo "$*" >&2; }
die() { note "$*"; exit 1; }
if [ -z "\${CREDENTIALS_DIRECTORY:-}" ] && [ \${#credentials[@]} -gt 0 ]; then
  exec systemd-run --quiet --pipe --wait --collect --property=PrivateTmp=yes "\${credentials[@]}" -- "$0" "$@"
fi
work=$(mktemp -d)
clean() { rm -rf "$work"; }
trap clean EXIT
trap 'exit 1' INT TERM
cache=\${CACHE_DIRECTORY:-$work/cache}
mkdir -p "$cache"
secret() { echo "$CREDENTIALS_DIRECTORY/$1"; }
for path in "\${excludes[@]}"; do echo "$path"; done >"$work/excludes"
`;

const verbs = `
now() {
  if [ -n "$(ls -A "$load" 2>/dev/null)" ]; then
    die "what was restored is not in the databases yet: systemctl status imgbuild-load.service"
  fi
  rm -rf "$dumps"
  mkdir -p "$dumps"
  trap 'rm -rf "$dumps"; clean' EXIT
  cut -d: -f1,3 /etc/passwd >"$dumps/.users"
  cut -d: -f1,3 /etc/group >"$dumps/.groups"
  local path name there=()
  for name in "\${databases[@]}"; do
    note "dumping $name"
    dump "$name" >"$dumps/$name"
  done
  for path in "\${paths[@]}"; do
    if [ -e "$path" ]; then there+=("$path"); else note "$path is not there"; fi
  done
  [ \${#there[@]} -gt 0 ] || [ \${#databases[@]} -gt 0 ] || die "nothing of what is to be backed up is there"
  save "\${there[@]}" "$dumps"
  rm -rf "$dumps"
  prune
}

# Numbers of users and groups may be others on the new system: what belonged to a name belongs to it again.
own_by_name() {
  local file kind flag name id now list
  for kind in user group; do
    file=$dumps/.\${kind}s
    [ -f "$file" ] || continue
    while IFS=: read -r name id; do
      now=$(getent "$([ $kind = user ] && echo passwd || echo group)" "$name" | cut -d: -f3) || continue
      if [ "$now" = "$id" ]; then continue; fi
      # All are found before the first is given away: two may have changed places.
      find "$@" -$([ $kind = user ] && echo uid || echo gid) "$id" -print0 >"$work/$kind.$now"
    done <"$file"
    for list in "$work/$kind".*; do
      [ -s "$list" ] || continue
      flag=\${list##*.}
      [ $kind = user ] || flag=:$flag
      xargs -0 chown --no-dereference "$flag" -- <"$list"
    done
  done
}

restore() {
  local marker=/var/lib/imgbuild/restored path name there=()
  if [ -n "\${IMGBUILD_DEPLOY:-}" ] && [ "$(cat $marker 2>/dev/null)" = "$IMGBUILD_DEPLOY" ]; then
    note "it is restored already"
    return
  fi
  mkdir -p /var/lib/imgbuild
  rm -rf "$load" "$dumps"
  bring "$@" "$dumps"
  for path in "$@"; do
    if [ -e "$path" ]; then there+=("$path"); else note "the backup has no $path"; fi
  done
  [ -e "$dumps" ] || [ \${#there[@]} -gt 0 ] || die "the backup holds nothing of what is to be restored"
  if [ $owns_by_number = yes ] && [ \${#there[@]} -gt 0 ]; then own_by_name "\${there[@]}"; fi
  mkdir -p "$load"
  for name in "\${databases[@]}"; do
    if [ -f "$dumps/$name" ]; then mv "$dumps/$name" "$load/$name"; else note "the backup has no dump of $name"; fi
  done
  rm -rf "$dumps"
  rmdir --ignore-fail-on-non-empty "$load"
  echo "\${IMGBUILD_DEPLOY:-by hand}" >$marker
}

load_all() {
  local name
  mkdir -p "$load"
  for name in "\${databases[@]}"; do
    [ -f "$load/$name" ] || continue
    note "loading $name"
    load "$name" <"$load/$name"
    rm "$load/$name"
  done
  rmdir --ignore-fail-on-non-empty "$load"
}

verb=\${1:-}
shift || true
case $verb in
  now | list | check | try) "$verb" ;;
  load) load_all ;;
  restore) if [ "\${1:-}" = -- ]; then restore "\${@:2}"; else restore "\${paths[@]}"; fi ;;
  *) die "usage: imgbuild-backup now|list|check|try|load|restore [-- PATH…]" ;;
esac
`;
