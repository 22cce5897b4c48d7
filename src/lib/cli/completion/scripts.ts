/** What does each shell have to be told, so that it asks us at every Tab? See protocol.ts. */
import type {SHELLS} from './candidates.ts'

type Shell = (typeof SHELLS)[number]

/** The program itself is called, whatever aliases and functions there are of its name. */
const BASH = String.raw`# Completion of rcluster for bash: eval "$(rcluster completion bash)" in ~/.bashrc
_rcluster() {
  local program line
  program=$(type -P "$1") || program=$(type -P rcluster) || return
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :nospace) compopt -o nospace 2>/dev/null ;;
      :files) compopt -o default 2>/dev/null ;;
      :folders) compopt -o dirnames 2>/dev/null ;;
      *) COMPREPLY+=("${'$'}{line%%$'\t'*}") ;;
    esac
  done < <(printf '%s\0' "${'$'}{COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" | "$program" __complete bash 2>/dev/null)
}
complete -F _rcluster rcluster
`

const ZSH = String.raw`#compdef rcluster
# Completion of rcluster for zsh: eval "$(rcluster completion zsh)" in ~/.zshrc, after compinit
_rcluster() {
  local line paths
  local -a values lines options
  while IFS= read -r line; do
    case $line in
      :nospace) options=(-S '') ;;
      :files) paths=_files ;;
      :folders) paths='_files -/' ;;
      *) values+=("${'$'}{line%%$'\t'*}"); lines+=("${'$'}{line/$'\t'/  -- }") ;;
    esac
  done < <(print -rN -- "${'$'}{(@Q)words[1,CURRENT-1]}" "${'$'}{(Q)PREFIX}" | command rcluster __complete zsh 2>/dev/null)
  (( $#values )) && compadd "${'$'}{options[@]}" -l -d lines -a values
  if [[ -n $paths ]]; then
    compset -P '--*='
    ${'$'}{=paths}
  fi
}
if [[ "$funcstack[1]" == _rcluster ]]; then
  _rcluster "$@"
else
  compdef _rcluster rcluster
fi
`

const FISH = String.raw`# Completion of rcluster for fish: rcluster completion fish > ~/.config/fish/completions/rcluster.fish
function __rcluster_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (printf '%s\0' $words "$current" | command rcluster __complete fish 2>/dev/null)
        switch $line
            case :nospace
            case :files
                __fish_complete_path "$current"
            case :folders
                __fish_complete_directories "$current"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c rcluster -f -a '(__rcluster_complete)'
`

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {bash: BASH, zsh: ZSH, fish: FISH}
