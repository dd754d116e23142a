/**
 * What a shell reads to complete the words of imgbuild. Each asks `imgbuild complete`, whose first line says whether names of
 * files or directories serve; then come the words, a line each, in which a tab comes before what the word is.
 */
export const shells = {
  bash: `_imgbuild() {
  local line=\${COMP_LINE:0:COMP_POINT} words word about also= skip
  read -ra words <<< "$line"
  [[ $line == *[[:blank:]] ]] && words+=("")
  # A word that has ":" or "=" in it is several for readline, which replaces the last of them.
  skip=\${words[-1]}
  case $skip in *[:=]*) skip=\${skip%"\${skip##*[:=]}"} ;; *) skip= ;; esac
  COMPREPLY=()
  while IFS=$'\\t' read -r word about; do
    if [[ -z $also ]]; then also=$word; else COMPREPLY+=("\${word#"$skip"}"); fi
  done < <("\${words[0]}" complete -- "\${words[@]:1}" 2> /dev/null)
  case $also in
    nothing) compopt +o default 2> /dev/null ;;
    directories) compopt -o plusdirs 2> /dev/null ;;
  esac
}
complete -o default -F _imgbuild imgbuild
`,
  zsh: `#compdef imgbuild
_imgbuild() {
  local -a lines described
  local line
  lines=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#described )) && _describe -t words imgbuild described
  case $lines[1] in
    files) _files ;;
    directories) _files -/ ;;
  esac
}
compdef _imgbuild imgbuild
`,
  fish: `function __imgbuild_complete
    set -l words (commandline -opc)
    set -l lines ($words[1] complete -- $words[2..-1] (commandline -ct) 2> /dev/null)
    printf '%s\\n' $lines[2..-1]
    switch "$lines[1]"
        case files
            __fish_complete_path (commandline -ct)
        case directories
            __fish_complete_directories (commandline -ct)
    end
end
complete --command imgbuild --no-files --arguments '(__imgbuild_complete)'
`,
} as const;
