# Completion for pixelprior. To load it, after compinit: source <(pixelprior completion zsh)

_pixelprior() {
    local program=${${(Q)words[1]}/#\~/$HOME} text about quoted
    local -a arguments=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    local -a ended going ended_shown going_shown
    # Only the value of a flag is completed and shown.
    local before=
    if [[ $PREFIX == -*=* ]]; then
        before="${(Q)PREFIX%%=*}="
        compset -P '*='
    fi
    while IFS=$'\t' read -r text about; do
        text=${text#$before}
        # A quoted "~" would not be shown as the home folder.
        quoted=${${(q)text}/#\\\~/\~}
        # A folder and a flag with a value go on; every other word ends.
        if [[ $text == *[/=] ]]; then
            going+=("$quoted") going_shown+=("$text${about:+  -- $about}")
        else
            ended+=("$quoted") ended_shown+=("$text${about:+  -- $about}")
        fi
    done < <("$program" __complete "${arguments[@]}" 2>/dev/null)
    compadd -Q -l -d ended_shown -a ended
    compadd -Q -l -S '' -d going_shown -a going
}

compdef _pixelprior pixelprior
