//! `[ssm]` in `config.toml`: where instances leave what they print, whole. SSM
//! itself answers with the first 24,000 characters only.

use serde::Deserialize;

/// `[ssm]`. In each of its texts `{account}` and `{region}` stand for those of
/// the instances: one line serves many accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SsmSettings {
    /// The S3 bucket that instances upload both streams to when a command has
    /// ended, byte for byte. The *instance's* role needs `s3:PutObject` there, the
    /// role that runs the command `s3:GetObject` and better also `s3:ListBucket`.
    pub output_bucket: String,
    /// Goes before the keys in that bucket.
    pub output_prefix: String,
    /// The group of CloudWatch Logs, in the account and region of the instances,
    /// that they write to while a command runs. The instance's role needs
    /// `logs:CreateLogStream`, `logs:PutLogEvents` and the two `Describe…` of
    /// groups and streams there, the role that runs the command
    /// `logs:GetLogEvents`. It keeps lines, not bytes: `\r\n` comes back as `\n`,
    /// and the last line always with its end. With both a bucket and a group, the
    /// bucket is read first.
    pub output_log_group: String,
}

impl SsmSettings {
    /// For the instances of one account and region.
    #[must_use]
    pub fn within(&self, account: &str, region: &str) -> Self {
        let fill = |text: &str| {
            text.replace("{account}", account)
                .replace("{region}", region)
        };
        Self {
            output_bucket: fill(&self.output_bucket),
            output_prefix: fill(&self.output_prefix),
            output_log_group: fill(&self.output_log_group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_account_and_region_where_it_wants_to() {
        let settings = SsmSettings {
            output_bucket: "runs-{account}-{region}".into(),
            output_log_group: "/ssm/runs".into(),
            ..SsmSettings::default()
        };
        let here = settings.within("111122223333", "eu-west-1");
        assert_eq!(here.output_bucket, "runs-111122223333-eu-west-1");
        assert_eq!(here.output_log_group, "/ssm/runs");
    }
}
