//! What AWS's answer about an ended instance says: whether an output is whole,
//! whether there was a process, what its code means. Pure.

use awsso_proto::v1::TaskState;

/// `GetCommandInvocation` keeps this much of a stream, in characters.
pub(super) const STDOUT_KEPT: usize = 24_000;
pub(super) const STDERR_KEPT: usize = 8_000;
/// `ListCommandInvocations`' `Output` keeps this much of both.
pub(super) const PREVIEW_KEPT: usize = 2_500;
/// Below this nothing was cut, whatever room the agent leaves for its marks.
const WHOLE_PREVIEW: usize = 2_300;
/// Between the two streams of an `Output`.
const STDERR_MARK: &str = "----------ERROR-------";

/// The list's `Output` is stdout as it is, when that is short and stderr is empty
/// (the agent's `TruncateOutput`). An empty one may be of a list without details.
pub(super) fn is_whole_stdout(output: &str) -> bool {
    !output.is_empty() && output.chars().count() < WHOLE_PREVIEW && !output.contains(STDERR_MARK)
}

/// The cap counts characters: a text of just that size is to be counted as cut.
pub(super) fn is_cut(text: &str, kept: usize) -> bool {
    let marks = ["--output truncated--", "---Output truncated---"];
    text.chars().count() >= kept || marks.iter().any(|mark| text.trim_end().ends_with(mark))
}

/// A process ended by itself. "Invalid Platform" and its like are failures without one.
pub(super) fn has_code(state: TaskState, details: &str) -> bool {
    matches!(state, TaskState::Succeeded | TaskState::Failed)
        && (details.is_empty() || is_word_of(state, details))
}

/// What a person may not know of an exit code.
pub(super) fn meaning(code: i32) -> &'static str {
    match code {
        137 => "exit 137: the process was killed, for lack of memory or at a time limit",
        194 => "exit 194 asks the SSM agent to reboot the instance and run the command again",
        3010 => {
            "exit 3010 asks the SSM agent on Windows to reboot the instance and run the command again"
        }
        _ => "",
    }
}

/// AWS's details say no more than the state does.
pub(super) fn is_word_of(state: TaskState, details: &str) -> bool {
    let letters = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_lowercase()
    };
    let details = letters(details);
    // AWS's word for it is not ours.
    details == letters(state.word()) || (state == TaskState::Succeeded && details == "success")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_that_repeats_the_state_is_left_out() {
        assert!(is_word_of(TaskState::Cancelled, "Cancelled"));
        assert!(is_word_of(TaskState::TimedOut, "Timed Out"));
        assert!(!is_word_of(TaskState::TimedOut, "Execution Timed Out"));
    }

    #[test]
    fn only_a_process_that_ended_by_itself_has_a_code() {
        for (state, details, has) in [
            (TaskState::Succeeded, "Success", true),
            (TaskState::Succeeded, "", true),
            (TaskState::Failed, "Failed", true),
            (TaskState::Failed, "Invalid Platform", false),
            (TaskState::TimedOut, "Execution Timed Out", false),
            (TaskState::Cancelled, "Cancelled", false),
        ] {
            assert_eq!(has_code(state, details), has, "{state:?} {details}");
        }
    }

    #[test]
    fn a_text_of_the_size_that_is_kept_counts_as_cut() {
        assert!(is_cut("abc", 3) && !is_cut("ab", 3) && !is_cut("üü", 3));
        assert!(is_cut("a\n--output truncated--\n", 100));
    }

    #[test]
    fn a_short_preview_of_one_stream_is_the_whole_of_it() {
        assert!(is_whole_stdout("done\n"));
        for not in [
            "",
            "a\n----------ERROR-------\nb",
            &"x".repeat(PREVIEW_KEPT),
        ] {
            assert!(!is_whole_stdout(not), "{not:.20}");
        }
    }
}
