//! The scripts of shells: what clap makes of the commands, and behind it the question that `completion` answers.

use chat_programs::documents::Shell;
use clap::CommandFactory;

use crate::cli::Cli;

/// What bash is told to do. It takes the words apart at `@`, `:` and `=`, and puts the answer only in place of the last
/// part: so the line is read anew, and what stands before that part is taken off again.
const BASH: &str = r#"
_chatctl_words() {
    local line="${COMP_LINE-}" word="" found="" words=()
    line="${line:0:${COMP_POINT-0}}"
    _chatctl "$@"
    if [[ -n $line ]]; then
        read -r -a words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
    else
        # called by another completer, which has the words alone
        words=("${COMP_WORDS[@]:0:COMP_CWORD+1}")
    fi
    word="${words[${#words[@]}-1]}"
    found="$(command chatctl complete -- "${words[@]}" 2>/dev/null)"
    [[ -n $found ]] || return 0
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"${word%"$2"}"}")
    done <<<"$found"
}

complete -F _chatctl_words -o bashdefault -o default chatctl
"#;

/// What zsh is told to do, under the name that it looks for.
const ZSH: &str = r#"
_chatctl() {
    local -a found
    found=("${(@f)$(command chatctl complete -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    found=("${(@)found:#}")
    if (( ${#found} )); then
        compadd -a found
    else
        _chatctl_verbs "$@"
    fi
}
"#;

/// What fish is told to do.
const FISH: &str = r#"
function __chatctl_words
    set -l word (commandline -ct)
    command chatctl complete -- (commandline -opc) "$word" 2>/dev/null
end

complete -c chatctl -a '(__chatctl_words)'
"#;

/// How clap ends what it says of an option that takes a value and names no file: fish asks nobody else then.
const VALUE_IN_FISH: [&str; 2] = [" -r -f\n", " -r -f -a '(__chatctl_words)'\n"];

/// The function of clap that zsh would call.
const ZSH_OF_CLAP: &str = "\n_chatctl() {";

/// The script of a shell.
pub(super) fn script(shell: Shell) -> String {
    let made = chat_programs::documents::completions(Cli::command(), shell);
    let made = String::from_utf8_lossy(&made).into_owned();
    match shell {
        Shell::Bash => made + BASH,
        Shell::Fish => {
            let [told, asked] = VALUE_IN_FISH;
            made.replace(told, asked) + FISH
        }
        Shell::Zsh => in_zsh(&made),
        _ => made,
    }
}

/// What follows clap's functions in its script calls one by that name: it has to be there before.
fn in_zsh(made: &str) -> String {
    let renamed = made.replacen(ZSH_OF_CLAP, "\n_chatctl_verbs() {", 1);
    match renamed.rfind("\nif [ \"$funcstack[1]\"") {
        Some(end) => {
            format!("{}{ZSH}{}", renamed.get(..end).unwrap_or_default(), renamed.get(end..).unwrap_or_default())
        }
        None => renamed + ZSH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_with_such_a_script_asks_for_names() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert_eq!(script(shell).matches("command chatctl complete -- ").count(), 1, "{shell}");
        }
    }

    #[test]
    fn zsh_finds_one_function_of_each_name_before_it_calls_it() {
        let script = script(Shell::Zsh);
        for name in ["\n_chatctl() {", "\n_chatctl_verbs() {", "if [ \"$funcstack[1]\" = \"_chatctl\" ]"] {
            assert_eq!(script.matches(name).count(), 1, "{name}");
        }
        assert!(script.find("\n_chatctl() {") < script.find("funcstack"), "{script}");
    }
}
