//! What the AWS CLI says when AWS said no: pure.

/// `An error occurred (CODE) when calling the OPERATION operation`.
#[derive(Debug, PartialEq, Eq)]
pub struct AwsError<'a> {
    pub code: &'a str,
    pub operation: &'a str,
}

/// How the sentence starts, in every version of the AWS CLI.
pub const SENTENCE: &str = "An error occurred (";

impl<'a> AwsError<'a> {
    /// The last such sentence of a text.
    pub fn find(text: &'a str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(SENTENCE)?;
        let (code, rest) = rest.split_once(')')?;
        let (_, rest) = rest.split_once("when calling the ")?;
        let (operation, _) = rest.split_once(" operation")?;
        Some(Self { code, operation })
    }

    /// AWS did not accept the keys: it has carried out nothing of the call.
    /// What hints at a wrong clock is left out: new keys would not help.
    pub fn is_bad_credentials(&self) -> bool {
        is_bad_credentials(self.code)
    }

    /// AWS knows who asks, and does not allow it.
    pub fn is_denied(&self) -> bool {
        let code = self.code.rsplit('.').next().unwrap_or(self.code);
        matches!(
            code,
            "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "AuthorizationError"
                | "AuthorizationErrorException"
                | "NotAuthorized"
                | "Forbidden"
                | "403"
        )
    }

    /// The command is this one call and no other: `ec2 run-instances` is
    /// `RunInstances`. A command that makes several may have been half way.
    pub fn is_whole_command(&self, words: &[String]) -> bool {
        let mut plain = words.iter().skip(1).filter(|word| !word.starts_with('-'));
        let direct = plain.any(|word| kebab(word) == kebab(self.operation));
        let high_level = words.iter().skip(1).find(|word| !word.starts_with('-'));
        direct && high_level.is_none_or(|service| service != "s3")
    }
}

pub fn is_bad_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "AuthFailure"
    )
}

/// `DescribeDBInstances` and `describe-db-instances` are the same word.
fn kebab(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '-')
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_sentence_is_found_in_every_versions_form() {
        for text in [
            "\nAn error occurred (ExpiredToken) when calling the GetCallerIdentity operation: x\n",
            "aws: [ERROR]: An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: x",
            "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation (reached max retries: 4): x",
        ] {
            let error = AwsError::find(text).unwrap();
            assert_eq!(
                (error.code, error.operation),
                ("ExpiredToken", "GetCallerIdentity")
            );
        }
        assert_eq!(AwsError::find("certificate has expired"), None);
    }

    #[test]
    fn only_a_command_that_is_one_call_counts_as_not_executed() {
        let error = |operation| AwsError {
            code: "ExpiredToken",
            operation,
        };
        assert!(error("RunInstances").is_whole_command(&words("aws ec2 run-instances --dry-run")));
        assert!(
            error("DescribeDBInstances")
                .is_whole_command(&words("aws --region x rds describe-db-instances"))
        );
        assert!(!error("PutObject").is_whole_command(&words("aws s3 cp a s3://b")));
        assert!(!error("ListObjectsV2").is_whole_command(&words("aws s3 sync a s3://b")));
        assert!(
            !error("DescribeStacks")
                .is_whole_command(&words("aws cloudformation deploy --stack-name x"))
        );
    }

    #[test]
    fn a_denial_is_told_from_bad_keys() {
        let error = |code| AwsError {
            code,
            operation: "X",
        };
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "Client.UnauthorizedOperation",
        ] {
            assert!(
                error(code).is_denied() && !error(code).is_bad_credentials(),
                "{code}"
            );
        }
        for code in ["ExpiredToken", "UnrecognizedClientException", "AuthFailure"] {
            assert!(
                error(code).is_bad_credentials() && !error(code).is_denied(),
                "{code}"
            );
        }
        for code in [
            "RequestExpired",
            "SignatureDoesNotMatch",
            "ThrottlingException",
        ] {
            assert!(!error(code).is_bad_credentials(), "{code}");
        }
    }
}
