//! `awsso completions`: what a shell evaluates to complete our command line. The
//! scripts know no command and no flag: at every key they ask `awsso complete`,
//! so they fit every version.

use clap::ValueEnum as _;
use serde::Serialize;

use crate::{
    args::{CompletionShell, CompletionsArgs},
    context::Context,
    exit::{self, Stop},
    terminal,
};

#[derive(Serialize)]
struct ScriptView<'a> {
    shell: &'a str,
    script: &'a str,
}

/// The replies come quoted: they are put into the line as they are.
const BASH: &str = r#"_awsso() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        COMPREPLY+=("$reply")
    done < <(command awsso complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -o bashdefault -o default -o nosort -F _awsso awsso 2>/dev/null ||
    complete -o bashdefault -o default -F _awsso awsso
"#;

/// As a file of `fpath`, or evaluated.
const ZSH: &str = r#"#compdef awsso
_awsso() {
    local -a replies
    replies=("${(@f)$(command awsso complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ -n $replies ]]; then
        _describe -V 'awsso' replies
    else
        _default
    fi
}
if [[ $funcstack[1] == _awsso ]]; then
    _awsso "$@"
else
    compdef _awsso awsso
fi
"#;

const FISH: &str = "\
complete --command awsso --no-files --keep-order --arguments '(command awsso complete fish -- \
(commandline --current-process --tokenize --cut-at-cursor) \
(commandline --current-token --cut-at-cursor) 2>/dev/null)'
";

/// The word at the cursor has a mark before it: Windows drops empty arguments.
const POWERSHELL: &str = r#"Register-ArgumentCompleter -Native -CommandName awsso -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    & awsso complete powershell -- @words "=$word" 2>$null | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
"#;

pub fn run(context: &Context, args: &CompletionsArgs) -> Result<u8, Stop> {
    let script = match args.shell {
        CompletionShell::Bash => BASH,
        CompletionShell::Zsh => ZSH,
        CompletionShell::Fish => FISH,
        CompletionShell::Powershell => POWERSHELL,
    };
    if context.json {
        let name = args.shell.to_possible_value();
        terminal::json(&ScriptView {
            shell: name.as_ref().map_or("", |name| name.get_name()),
            script,
        })?;
    } else {
        terminal::data(script.as_bytes())?;
    }
    Ok(exit::OK)
}
