//! The part of a desktop that shows notifications: here it remembers them.

#![expect(
    clippy::used_underscore_binding,
    reason = "what zbus makes of the arguments that nobody looks at"
)]

use std::collections::HashMap;

use tokio::sync::watch;
use zbus::{Connection, object_server::SignalEmitter, zvariant::OwnedValue};

use crate::{Desktop, world::within_limit};

/// What a program asked to be shown.
#[derive(Debug, Clone)]
pub struct Notification {
    id: u32,
    pub app: String,
    pub summary: String,
    pub body: String,
    /// Keys and words, by turns.
    pub actions: Vec<String>,
}

pub struct Notifications {
    shown: watch::Receiver<Vec<Notification>>,
    connection: Connection,
}

const PATH: &str = "/org/freedesktop/Notifications";

impl Desktop<'_> {
    /// From here on the desktop shows notifications.
    pub async fn notifications(&self) -> Notifications {
        let (shown_to, shown) = watch::channel(Vec::new());
        let connection = async {
            zbus::connection::Builder::address(self.bus())?
                .serve_at(PATH, Service(shown_to))?
                .name("org.freedesktop.Notifications")?
                .build()
                .await
        };
        Notifications {
            shown,
            connection: connection.await.expect("the bus takes the service"),
        }
    }
}

impl Notifications {
    /// Waits for one whose summary or body holds this.
    pub async fn say(&self, text: &str) -> Notification {
        let says = |one: &&Notification| one.summary.contains(text) || one.body.contains(text);
        let mut shown = self.shown.clone();
        let found = shown.wait_for(|all| all.iter().any(|one| says(&one)));
        let found = within_limit(text, found)
            .await
            .expect("the desktop goes on");
        found.iter().find(says).expect("it was found").clone()
    }

    /// Waits for the one after so many.
    pub async fn after(&self, so_many: usize) -> Notification {
        let mut shown = self.shown.clone();
        let found = shown.wait_for(|all| all.len() > so_many);
        let found = within_limit("one more notification", found).await;
        found.expect("the desktop goes on")[so_many].clone()
    }

    /// The person presses the button with these words.
    pub async fn press(&self, notification: &Notification, words: &str) {
        let mut actions = notification.actions.chunks(2);
        let action = actions.find(|action| action.get(1).is_some_and(|it| it == words));
        let key = &action.expect("there is such a button")[0];
        let server = self.connection.object_server();
        let service = server.interface::<_, Service>(PATH).await;
        let service = service.expect("it is served");
        Service::action_invoked(service.signal_emitter(), notification.id, key)
            .await
            .expect("the bus takes the signal");
    }

    /// All so far, the first one first.
    pub fn all(&self) -> Vec<Notification> {
        self.shown.borrow().clone()
    }
}

/// <https://specifications.freedesktop.org/notification-spec/latest/>
struct Service(watch::Sender<Vec<Notification>>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[expect(clippy::too_many_arguments, reason = "the specification's signature")]
    fn notify(
        &self,
        app_name: String,
        replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        let mut id = replaces_id;
        self.0.send_modify(|shown| {
            if id == 0 {
                id = u32::try_from(shown.len() + 1).unwrap_or(u32::MAX);
            }
            shown.push(Notification {
                id,
                app: app_name,
                summary,
                body,
                actions,
            });
        });
        id
    }

    #[zbus(signal)]
    async fn action_invoked(
        emitter: &SignalEmitter<'_>,
        id: u32,
        action_key: &str,
    ) -> zbus::Result<()>;

    #[expect(clippy::unused_self, reason = "a method of the service")]
    fn close_notification(&self, _id: u32) {}

    #[expect(clippy::unused_self, reason = "a method of the service")]
    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".to_owned(), "actions".to_owned()]
    }

    #[expect(clippy::unused_self, reason = "a method of the service")]
    fn get_server_information(&self) -> (String, String, String, String) {
        let [name, vendor, version, specification] =
            ["e2e", "awsso", "1", "1.2"].map(str::to_owned);
        (name, vendor, version, specification)
    }
}
