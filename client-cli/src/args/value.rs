//! What a value of a flag must look like. Each refusal is one line that names
//! the value.

use awsso_proto::v1::SsmTarget;

pub fn account(text: &str) -> Result<String, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.trim().is_empty() || (digits && text.len() != 12) {
        return Err(format!("'{text}' is not an account id (12 digits) or name"));
    }
    Ok(text.to_owned())
}

/// It may stand for several accounts.
pub fn is_glob(account: &str) -> bool {
    account.contains(['*', '?', '['])
}

pub fn region(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) || !text.bytes().all(fits) {
        return Err(format!("'{text}' is not a region"));
    }
    Ok(text.to_owned())
}

pub fn instance_id(text: &str) -> Result<String, String> {
    let hex = text.strip_prefix("mi-").or(text.strip_prefix("i-"));
    match hex {
        Some(hex)
            if (8..=17).contains(&hex.len())
                && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(format!("'{text}' is not an instance id")),
    }
}

pub fn ssm_target(text: &str) -> Result<SsmTarget, String> {
    SsmTarget::of_tag(text)
        .ok_or_else(|| format!("'{text}' is not of the form tag:KEY=VALUE[,VALUE]"))
}

/// What may stand in a client's settings for `awsso-mcp`: it reads it, and it is no secret.
const SHIM_VARIABLES: [&str; 13] = [
    "AWS_SSO_START_URL",
    "AWS_SSO_REGION",
    "AWSSO_SESSION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_CA_BUNDLE",
    "AWSSO_CONFIG",
    "AWSSO_SOCKET",
    "AWSSO_DAEMON",
    "AWSSO_LOG",
    "DEBUG",
];

pub fn shim_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if SHIM_VARIABLES.contains(&name) && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        Some((_, "")) | None => Err("it must be NAME=VALUE".to_owned()),
        Some(_) => Err(format!(
            "the name must be one of {}",
            SHIM_VARIABLES.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits_or_a_name() {
        for good in ["111122223333", "Production", "team 7", "12345a"] {
            assert_eq!(account(good).as_deref(), Ok(good));
        }
        for bad in ["", "12345", "1111222233334"] {
            assert!(account(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_region_has_letters_digits_and_hyphens() {
        assert!(region("eu-central-1").is_ok());
        for bad in ["", "eu central", "eu_1", "../x", "-eu"] {
            assert!(region(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_instance_id_has_its_prefix_and_hexadecimal_digits() {
        for good in ["i-0abcdef0", "i-0123456789abcdef0", "mi-0123456789abcdef0"] {
            assert!(instance_id(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "i-",
            "i-123",
            "i-0123456789abcdef01",
            "i-0123456z",
            "x-01234567",
        ] {
            assert!(instance_id(bad).is_err(), "{bad}");
        }
    }
}
