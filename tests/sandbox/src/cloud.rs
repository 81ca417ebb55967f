//! The model as a whole, and the path of a request through it: counted, delayed, struck by a fault, checked at the
//! gate, answered by its service.

use std::time::{Instant, SystemTime};

use crate::answer::{self, Answer, Refusal};
use crate::call::Call;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::faults::{self, Fault, Faults};
use crate::keys::{Caller, KeyRing};
use crate::login::{self, Login};
use crate::mint::{self, Mint};
use crate::organization::Organization;
use crate::service::{Operation, Route, Service};
use crate::signin::SigninTokens;
use crate::ssm::commands::CommandBook;
use crate::tally::Tally;
use crate::{control, ec2, gate, logs, portal, rights, s3, service, signin, ssm, sts};

pub(crate) struct Cloud {
    pub(crate) config: Config,
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) organization: Organization,
    pub(crate) login: Login,
    pub(crate) keys: KeyRing,
    pub(crate) signin: SigninTokens,
    pub(crate) commands: CommandBook,
    pub(crate) mint: Mint,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
}

/// How a request ends.
pub(crate) enum Outcome {
    Answered(Answer),
    /// The connection is reset instead.
    Reset,
}

impl Cloud {
    pub(crate) fn new(config: Config, base_url: String) -> Self {
        Self {
            clock: Clock::default(),
            organization: Organization::of(config.accounts)
                .with_roles(config.least_roles)
                .with_fleet(config.fleet),
            login: Login::new(&config),
            keys: KeyRing::default(),
            signin: SigninTokens::default(),
            commands: CommandBook::default(),
            mint: Mint::default(),
            faults: Faults::new(&config),
            tally: Tally::default(),
            base_url,
            config,
        }
    }

    pub(crate) async fn serve(&self, call: Call) -> Outcome {
        let answer = match service::route(&call) {
            Route::Control(switch) => control::answer(self, &switch, &call),
            Route::Page(page) => login::pages::answer(self, &page, &call),
            Route::Nowhere => Refusal::new(
                404,
                "UnknownOperationException",
                "Nothing of the sandbox is here",
            )
            .write(answer::Protocol::Json),
            Route::Operation(operation) => return self.operate(&operation, &call).await,
        };
        Outcome::Answered(self.dated(answer))
    }

    async fn operate(&self, operation: &Operation, call: &Call) -> Outcome {
        let _in_flight = self.tally.begin(operation);
        let latency = self.faults.standing().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let service = operation.service;
        let fault = match self.faults.strike(operation) {
            None if self.faults.over_rate(service, Instant::now()) => Some(Fault::Throttle),
            fault => fault,
        };
        let refuse =
            |refusal: Refusal| Outcome::Answered(self.dated(refusal.write(service.protocol())));
        match fault {
            Some(Fault::Throttle) => {
                self.tally.throttled(operation);
                refuse(faults::throttled(service))
            }
            Some(Fault::Fail(status)) => refuse(faults::failed(service, status)),
            Some(Fault::Reset) => Outcome::Reset,
            // Ends when the client goes away or the sandbox stops: both drop this future.
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Garbage) => Outcome::Answered(Answer::garbage()),
            Some(Fault::LoseAnswer) => {
                drop(self.carry_out(operation, call));
                Outcome::Reset
            }
            None => match self.carry_out(operation, call) {
                Ok(answer) => {
                    let header = answer::request_id_header(service.protocol());
                    Outcome::Answered(self.dated(answer).with(header, mint::uuid()))
                }
                Err(refusal) => refuse(refusal),
            },
        }
    }

    fn carry_out(&self, operation: &Operation, call: &Call) -> Result<Answer, Refusal> {
        let name = operation.name.as_str();
        match operation.service {
            Service::Oidc => login::oidc::answer(self, name, call),
            Service::Sso => portal::answer(self, name, call),
            Service::Signin => signin::answer(self, name, call),
            Service::Sts => sts::answer(self, &self.enter(operation, call)?, name, call),
            Service::Ssm => ssm::answer(self, &self.enter(operation, call)?, name, call),
            Service::Ec2 => ec2::answer(self, &self.enter(operation, call)?, name, call),
            Service::Logs => logs::answer(self, &self.enter(operation, call)?, name, call),
            Service::S3 => s3::answer(self, &self.enter(operation, call)?, name, call),
        }
    }

    /// Signature first, rights second.
    fn enter(&self, operation: &Operation, call: &Call) -> Result<Caller, Refusal> {
        let service = operation.service;
        let caller = gate::caller(
            service,
            call,
            &self.keys,
            self.clock.now(),
            self.clock.wire(),
        )?;
        let action = match (service, operation.name.as_str()) {
            (Service::S3, name) => format!("s3:{}", s3::permission(name)),
            (service, name) => format!("{}:{name}", service.name()),
        };
        let why = match rights::check(&caller, &action) {
            Err(why) => why,
            Ok(()) if self.faults.standing().denied.contains(&action) => {
                "with an explicit deny in a service control policy".to_owned()
            }
            Ok(()) => return Ok(caller),
        };
        let denied = format!(
            "User: {} is not authorized to perform: {action} {why}",
            caller.arn()
        );
        Err(match service {
            Service::S3 => Refusal::new(403, "AccessDenied", denied),
            Service::Ec2 => Refusal::new(
                403,
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {denied}"),
            ),
            Service::Ssm | Service::Logs => Refusal::bad("AccessDeniedException", denied),
            Service::Sts | Service::Sso | Service::Oidc | Service::Signin => {
                Refusal::new(403, "AccessDenied", denied)
            }
        })
    }

    /// Whether this is the portal of this organisation; AWS does not mind a slash or the `#/` of the browser.
    pub(crate) fn is_start_url(&self, url: &str) -> bool {
        let bare = |url: &str| url.trim_end_matches(['/', '#']).to_owned();
        let asked = bare(url);
        asked == format!("{}/start", self.base_url)
            || self
                .config
                .start_urls
                .iter()
                .any(|known| bare(known) == asked)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn dated(&self, answer: Answer) -> Answer {
        answer.with("date", clock::http_date(self.clock.wire()))
    }
}
