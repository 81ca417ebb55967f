//! The limiter on a clock that is paused.

use std::sync::atomic::AtomicUsize;

use aws_sdk_sso::operation::list_accounts::ListAccountsError;
use aws_smithy_types::body::SdkBody;

use super::*;

#[test]
fn a_pause_grows_and_has_an_end() {
    assert!(backoff(1) <= FIRST_PAUSE * 2);
    assert!(backoff(40) <= LONGEST_PAUSE);
    assert!(backoff(40) >= LONGEST_PAUSE / 2);
}

type Answer = Result<(), SdkError<ListAccountsError, HttpResponse>>;

/// An AWS that takes a while.
async fn answer_after(latency: Duration) -> Answer {
    tokio::time::sleep(latency).await;
    Ok(())
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_person_does_not_wait_for_a_list() {
    let limiter = Arc::new(Limiter::default());
    let latency = Duration::from_millis(50);
    let in_flight = Arc::new(AtomicUsize::new(0));
    for _ in 0..1_000 {
        let (limiter, in_flight) = (Arc::clone(&limiter), Arc::clone(&in_flight));
        tokio::spawn(async move {
            let call = limiter.call("ListAccountRoles", Lane::Bulk, Repeat::Freely, || async {
                in_flight.fetch_add(1, Ordering::SeqCst);
                let answer = answer_after(latency).await;
                in_flight.fetch_sub(1, Ordering::SeqCst);
                answer
            });
            call.await.unwrap();
        });
    }
    tokio::time::sleep(latency / 2).await;
    assert_eq!(in_flight.load(Ordering::SeqCst), IN_FLIGHT_BULK);
    let start = Instant::now();
    let person = limiter.call("GetRoleCredentials", Lane::Person, Repeat::Freely, || {
        answer_after(latency)
    });
    person.await.unwrap();
    assert_eq!(start.elapsed(), latency);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn when_the_pace_is_slow_a_person_is_the_next_one() {
    let limiter = Arc::new(Limiter::new(Pace::remembering(10.0)));
    for _ in 0..100 {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move {
            let call = limiter.call("ListAccountRoles", Lane::Bulk, Repeat::Freely, || {
                answer_after(Duration::ZERO)
            });
            call.await.unwrap();
        });
    }
    tokio::time::sleep(Duration::from_millis(350)).await;
    let start = Instant::now();
    let person = limiter.call("GetRoleCredentials", Lane::Person, Repeat::Freely, || {
        answer_after(Duration::ZERO)
    });
    person.await.unwrap();
    assert!(
        start.elapsed() <= Duration::from_millis(120),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn who_is_refused_asks_again_before_the_thousands_behind() {
    let limiter = Arc::new(Limiter::new(Pace::remembering(20.0)));
    let (refusals, answered) = (AtomicUsize::new(3), Arc::new(AtomicUsize::new(0)));
    let refused = limiter.call(
        "GetRoleCredentials",
        Lane::Person,
        Repeat::Freely,
        async || match refusals.load(Ordering::SeqCst) {
            0 => Ok(()),
            left => {
                refusals.store(left - 1, Ordering::SeqCst);
                let status = 429.try_into().expect("a status");
                let response = HttpResponse::new(status, SdkBody::empty());
                let error = ListAccountsError::unhandled("too many requests");
                Err(SdkError::service_error(error, response))
            }
        },
    );
    let others = (0..4_000).map(|_| {
        let (limiter, answered) = (Arc::clone(&limiter), Arc::clone(&answered));
        tokio::spawn(async move {
            let call = limiter.call("GetRoleCredentials", Lane::Person, Repeat::Freely, || {
                answer_after(Duration::ZERO)
            });
            call.await.unwrap();
            answered.fetch_add(1, Ordering::SeqCst);
        })
    });
    let before = async {
        refused.await.unwrap();
        answered.load(Ordering::SeqCst)
    };
    let (before, others) = tokio::join!(before, futures_util::future::join_all(others));
    assert!(before < 200, "{before} were answered before it");
    assert!(others.into_iter().all(|other| other.is_ok()));
}

#[test]
fn the_next_daemon_knows_the_ceilings_that_this_one_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("limits.json");
    let limiters = Limiters::remembered(&file);
    let _ = limiters.of("a place that never complained");
    limiters.remember(&file).unwrap();
    assert!(!file.exists(), "nothing to tell");

    let now = Instant::now();
    limiters.of("portal").pace().throttled(now, now);
    let found = limiters.of("portal").pace().ceiling();
    limiters.remember(&file).unwrap();
    let next = Limiters::remembered(&file);
    assert_eq!(next.of("portal").pace().ceiling(), found);
    assert_eq!(next.of("elsewhere").pace().ceiling(), None);
    next.remember(&file).unwrap();

    for bad in ["", "[]", "{\"portal\": \"fast\"}", "{\"portal\": -7}"] {
        std::fs::write(&file, bad).unwrap();
        let _ = Limiters::remembered(&file).of("portal").pace().take(now);
    }
}
