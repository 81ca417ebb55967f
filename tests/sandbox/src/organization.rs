//! The organisation that is modelled: accounts, their roles, instances and buckets.
//!
//! A pure function of its size, so that two sandboxes of the same size are the same organisation and a larger one
//! begins with the smaller. It never changes; what changes (tokens, keys, commands) is owned elsewhere.

use std::collections::HashMap;
use std::fmt;

/// The largest organisation AWS's quotas make plausible, and enough to test paging with.
pub const MOST_ACCOUNTS: usize = 5_000;
/// The number of the account whose name differs from another's in its case only.
const MISNAMED: usize = 12;

/// Accounts in a fixed order.
#[derive(Debug, Clone)]
pub struct Organization {
    accounts: Vec<Account>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub email: String,
    pub roles: Vec<String>,
    pub instances: Vec<Instance>,
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    /// Its `Name` tag and its host name.
    pub name: String,
    pub platform: Platform,
    pub reach: Reach,
    /// Whether bash is there beside `sh`.
    pub bash: bool,
    pub address: String,
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Linux,
    Windows,
    MacOs,
}

/// What Systems Manager knows of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Online,
    /// Registered, but the agent no longer answers: commands are delayed and in the end not delivered.
    Offline,
    /// Runs in EC2 and never registered: Systems Manager does not know it.
    Unmanaged,
}

#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    /// Keys with their text, sorted by key.
    pub objects: Vec<(String, String)>,
}

impl Platform {
    /// As `DescribeInstanceInformation` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
            Self::MacOs => "MacOS",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Organization {
    /// An organisation of `accounts` accounts; what is outside 1 to [`MOST_ACCOUNTS`] is moved to the nearest.
    pub fn of(accounts: usize) -> Self {
        let accounts: Vec<_> = (0..accounts.clamp(1, MOST_ACCOUNTS)).map(account).collect();
        let by_id = accounts
            .iter()
            .enumerate()
            .map(|(at, account)| (account.id.clone(), at))
            .collect();
        Self { accounts, by_id }
    }

    /// Fills up each account to so many roles: `Team05`, …
    #[must_use]
    pub fn with_roles(mut self, least: usize) -> Self {
        for account in &mut self.accounts {
            let more = account.roles.len() + 1..=least;
            account
                .roles
                .extend(more.map(|number| format!("Team{number:02}")));
        }
        self
    }

    /// Adds so many instances to the first account: `fleet-0001`, …, each with a tag `Seconds` of 1 to 30. Every tenth
    /// has no bash, and as many run Windows.
    #[must_use]
    pub fn with_fleet(mut self, size: usize) -> Self {
        self.accounts[0].instances.extend((1..=size).map(machine));
        self
    }

    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    pub fn account(&self, id: &str) -> Option<&Account> {
        self.by_id.get(id).map(|&at| &self.accounts[at])
    }
}

impl Account {
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// What who assumes a role has to name, where its trust policy asks for it. Each account has one such role, which
    /// is no permission set: `Vendor`, for a supplier who acts for many.
    pub fn external_id(&self, role: &str) -> Option<String> {
        (role == "Vendor").then(|| format!("vendor-{}", self.id))
    }

    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role == name)
    }
}

impl Instance {
    /// Whether Systems Manager lists it.
    pub fn is_managed(&self) -> bool {
        self.reach != Reach::Unmanaged
    }

    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

fn account(number: usize) -> Account {
    match number {
        0 => production(),
        1 => small_account("444455556666", "staging", number),
        2 => small_account("777788889999", "development", number),
        _ => {
            const PURPOSES: [&str; 6] = [
                "payments",
                "search",
                "data lake",
                "logging",
                "Büro-IT",
                "sandbox",
            ];
            // 37,000,003 is odd and prime to 10^12: ids look arbitrary and never meet, nor do the three above.
            let id = (200_000_000_000 + number as u64 * 37_000_003) % 1_000_000_000_000;
            let mut account = small_account(
                &format!("{id:012}"),
                &format!("{} {number:04}", PURPOSES[number % PURPOSES.len()]),
                number,
            );
            // A slip as organisations have them: but for the case, the name of another account.
            if number == MISNAMED {
                account.name = format!("Payments {:04}", MISNAMED - PURPOSES.len());
            }
            account
        }
    }
}

fn production() -> Account {
    let machine =
        |suffix, name, platform, reach| instance(0, suffix, name, platform, reach, "production");
    Account {
        id: "111122223333".into(),
        name: "production".into(),
        email: "aws+production@example.com".into(),
        roles: ["AdministratorAccess", "NoS3", "NoSSMInventory", "ReadOnly"]
            .map(String::from)
            .into(),
        instances: vec![
            machine(1, "web-1", Platform::Linux, Reach::Online),
            machine(2, "web-2", Platform::Linux, Reach::Online),
            machine(3, "win-1", Platform::Windows, Reach::Online),
            machine(4, "mac-1", Platform::MacOs, Reach::Online),
            machine(5, "offline-1", Platform::Linux, Reach::Offline),
            machine(6, "bare-1", Platform::Linux, Reach::Unmanaged),
        ],
        buckets: buckets("111122223333", "production"),
    }
}

fn machine(number: usize) -> Instance {
    let platform = if number % 10 == 5 {
        Platform::Windows
    } else {
        Platform::Linux
    };
    let name = format!("fleet-{number:04}");
    // The first account's own are the ones below.
    let mut machine = instance(0, 0x100 + number, &name, platform, Reach::Online, "fleet");
    machine.address = format!("10.200.{}.{}", number / 250, number % 250);
    machine.bash &= !number.is_multiple_of(10);
    let seconds = 1 + number * 7 % 30;
    machine.tags.push(("Seconds".into(), seconds.to_string()));
    machine
}

fn small_account(id: &str, name: &str, number: usize) -> Account {
    let slug: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect::<String>();
    let slug = slug.to_ascii_lowercase();
    let mut roles = vec!["AdministratorAccess".to_owned(), "ReadOnly".to_owned()];
    if number % 3 == 2 {
        roles.insert(1, "PowerUserAccess".to_owned());
    }
    Account {
        id: id.to_owned(),
        name: name.to_owned(),
        email: format!("aws+{slug}@example.com"),
        roles,
        instances: vec![
            instance(number, 1, "app-1", Platform::Linux, Reach::Online, &slug),
            instance(number, 2, "app-2", Platform::Linux, Reach::Online, &slug),
        ],
        buckets: buckets(id, &slug),
    }
}

fn instance(
    account: usize,
    suffix: usize,
    name: &str,
    platform: Platform,
    reach: Reach,
    environment: &str,
) -> Instance {
    let role = name.split('-').next().unwrap_or(name);
    Instance {
        // `i-0a1b2c3d4e5f60001` in the first account; later accounts count on in the digits before.
        id: format!(
            "i-{:017x}",
            0xa1b2_c3d4_e5f6_0000_u64 + account as u64 * 0x10_0000 + suffix as u64
        ),
        name: name.to_owned(),
        platform,
        reach,
        bash: platform != Platform::Windows,
        address: format!("10.{}.{}.{}", account / 250, account % 250, 10 + suffix),
        tags: vec![
            ("Name".into(), name.into()),
            ("Environment".into(), environment.into()),
            ("Role".into(), role.into()),
        ],
    }
}

fn buckets(id: &str, name: &str) -> Vec<Bucket> {
    let mut objects = vec![
        ("hello.txt".to_owned(), format!("hello from {name}\n")),
        (
            "logs/2026/01/app.log".to_owned(),
            "started\nstopped\n".to_owned(),
        ),
        ("logs/2026/02/app.log".to_owned(), "started\n".to_owned()),
        ("reports/a b+c ü.csv".to_owned(), "a,b\n1,2\n".to_owned()),
    ];
    objects.sort();
    vec![
        Bucket {
            name: format!("{id}-artifacts"),
            objects: Vec::new(),
        },
        Bucket {
            name: format!("{id}-data"),
            objects,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_organisation_has_no_id_twice() {
        let organization = Organization::of(MOST_ACCOUNTS);
        assert_eq!(organization.by_id.len(), MOST_ACCOUNTS);
        let instances: std::collections::HashSet<_> = organization
            .accounts()
            .iter()
            .flat_map(|account| &account.instances)
            .map(|one| &one.id)
            .collect();
        assert_eq!(instances.len(), 6 + 2 * (MOST_ACCOUNTS - 1));
        assert!(
            organization
                .accounts()
                .iter()
                .all(|account| account.id.len() == 12 && account.roles.len() >= 2)
        );
    }

    #[test]
    fn accounts_are_filled_up_with_roles() {
        let organization = Organization::of(3).with_roles(5);
        for account in organization.accounts() {
            assert_eq!(account.roles.len(), 5, "{}", account.name);
            assert!(account.has_role("ReadOnly") && account.has_role("Team05"));
        }
    }

    #[test]
    fn a_fleet_is_mixed_and_takes_its_time() {
        let organization = Organization::of(1).with_fleet(1_000);
        let fleet = &organization.accounts()[0].instances[6..];
        assert_eq!(fleet.len(), 1_000);
        let count = |is: fn(&&Instance) -> bool| fleet.iter().filter(is).count();
        assert_eq!(count(|it| it.platform == Platform::Windows), 100);
        assert_eq!(count(|it| it.platform == Platform::Linux && !it.bash), 100);
        assert!(count(|it| it.tag("Seconds") == Some("1")) > 30);
        assert!(count(|it| it.tag("Seconds") == Some("30")) > 30);
    }

    #[test]
    fn production_has_the_instances_tests_name() {
        let organization = Organization::of(1);
        let production = organization.account("111122223333").unwrap();
        assert_eq!(
            production.instance("i-0a1b2c3d4e5f60001").unwrap().name,
            "web-1"
        );
        assert_eq!(
            production.instance("i-0a1b2c3d4e5f60003").unwrap().platform,
            Platform::Windows
        );
        assert_eq!(
            production.instance("i-0a1b2c3d4e5f60005").unwrap().reach,
            Reach::Offline
        );
    }
}
