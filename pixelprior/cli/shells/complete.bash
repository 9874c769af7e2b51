# Completion for pixelprior. To load it: source <(pixelprior completion bash)

_pixelprior() {
    # Bash splits words at "=" and ":", and completes only the last piece.
    local words=() number=-1 index piece joined=
    for ((index = 1; index <= COMP_CWORD; index++)); do
        piece=${COMP_WORDS[index]//[\\\"\']/}
        if [[ $number -ge 0 && ($joined || $piece =~ ^[=:]+$) ]]; then
            words[number]+=$piece
        else
            words[++number]=$piece
        fi
        joined=
        if [[ $piece =~ ^[=:]+$ ]]; then
            joined=yes piece=
        fi
    done
    local before=${words[number]%"$piece"}
    local program=${COMP_WORDS[0]/#\~/$HOME} candidate
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        candidate=${candidate#"$before"}
        # Inside quotes of the user, a backslash would be a part of the name.
        if [[ ${COMP_WORDS[COMP_CWORD]} != [\"\']* ]]; then
            printf -v candidate %q "$candidate"
            # A quoted "~" would not be the home folder.
            candidate=${candidate/#\\\~/\~}
            # A folder and a flag with a value go on; every other word ends.
            [[ $candidate == *[/=] ]] || candidate+=" "
        fi
        COMPREPLY+=("$candidate")
    done < <("$program" __complete "${words[@]}" 2>/dev/null)
}

complete -o nospace -F _pixelprior pixelprior
