# Completion for pixelprior. To load it: pixelprior completion fish | source

function __pixelprior_candidates
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    $words[1] __complete $words[2..] "$word" 2>/dev/null
end

complete -c pixelprior -f -a '(__pixelprior_candidates)'
