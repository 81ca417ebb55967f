use std::time::UNIX_EPOCH;

use super::*;

fn approvals() -> Approvals {
    Approvals::new(
        Clock::system(),
        TaskTracker::new(),
        CancellationToken::new(),
    )
}

fn asker() -> (Arc<()>, Asker) {
    let connection = Arc::new(());
    let asker = Asker {
        connection: Arc::downgrade(&connection),
        name: "editor/1".to_owned(),
        pid: None,
    };
    (connection, asker)
}

fn work(command: &str, accounts: &[&str]) -> Work {
    let place = |account: &&str| v1::ApprovalPlace {
        account_id: (*account).to_owned(),
        role_name: "Admin".to_owned(),
        ..v1::ApprovalPlace::default()
    };
    Work {
        kind: JobKind::AwsCli,
        argv: command.split(' ').map(str::to_owned).collect(),
        detail: String::new(),
        class: "write".to_owned(),
        places: accounts.iter().map(place).collect(),
    }
}

async fn clear(approvals: &Approvals, asker: &Asker, work: &Work) -> Result<(), Failure> {
    let clear = approvals.clear(asker, work.clone(), "preset guarded", Duration::ZERO);
    clear.await
}

/// The id of the approval that this has to wait for.
async fn waits(approvals: &Approvals, asker: &Asker, work: &Work) -> String {
    let failure = clear(approvals, asker, work).await.unwrap_err();
    assert_eq!(failure.reason, Reason::ApprovalRequired, "{failure}");
    failure.metadata[key::APPROVAL].clone()
}

fn answer(approvals: &Approvals, id: &str, scope: Option<ApprovalScope>) -> Result<(), Failure> {
    let decision = v1::DecideApprovalRequest {
        id: id.to_owned(),
        approve: scope.is_some(),
        scope: scope.unwrap_or_default().into(),
    };
    approvals.decide(By::Person, &decision)
}

#[tokio::test]
async fn what_was_approved_once_runs_once() {
    let (approvals, (_connection, asker)) = (approvals(), asker());
    let stop = work("aws ec2 stop-instances", &["1"]);
    let id = waits(&approvals, &asker, &stop).await;
    assert_eq!(waits(&approvals, &asker, &stop).await, id, "asked twice");
    assert_eq!(approvals.watch(true).waiting().len(), 1);
    answer(&approvals, &id, Some(ApprovalScope::Once)).unwrap();
    assert!(approvals.watch(true).waiting().is_empty());
    // Nothing else was approved by that.
    waits(&approvals, &asker, &work("aws ec2 stop-instances", &["2"])).await;
    waits(
        &approvals,
        &asker,
        &work("aws ec2 terminate-instances", &["1"]),
    )
    .await;
    clear(&approvals, &asker, &stop).await.unwrap();
    assert_ne!(waits(&approvals, &asker, &stop).await, id);
}

#[tokio::test]
async fn an_approval_is_of_the_client_that_asked() {
    let (approvals, (connection, first), (_other, second)) = (approvals(), asker(), asker());
    let stop = work("aws ec2 stop-instances", &["1"]);
    let id = waits(&approvals, &first, &stop).await;
    answer(&approvals, &id, Some(ApprovalScope::Session)).unwrap();
    clear(&approvals, &first, &stop).await.unwrap();
    clear(
        &approvals,
        &first,
        &work("aws ec2 reboot-instances", &["1"]),
    )
    .await
    .unwrap();
    // Not elsewhere, not as another class, not for another client.
    waits(
        &approvals,
        &first,
        &work("aws ec2 stop-instances", &["1", "2"]),
    )
    .await;
    let other = Work {
        class: "permissions".to_owned(),
        ..stop.clone()
    };
    waits(&approvals, &first, &other).await;
    waits(&approvals, &second, &stop).await;
    // Nor for one that takes its place.
    drop(connection);
    waits(&approvals, &first, &stop).await;
}

#[tokio::test]
async fn exactly_this_is_approved_for_all_agents() {
    let (approvals, (_one, first), (_two, second)) = (approvals(), asker(), asker());
    let stop = work("aws ec2 stop-instances", &["1"]);
    let id = waits(&approvals, &first, &stop).await;
    answer(&approvals, &id, Some(ApprovalScope::Command)).unwrap();
    clear(&approvals, &second, &stop).await.unwrap();
    waits(&approvals, &second, &work("aws ec2 stop-instances", &["2"])).await;
}

#[tokio::test]
async fn a_no_holds_for_a_while_and_is_not_asked_again() {
    let (approvals, (_connection, asker)) = (approvals(), asker());
    let stop = work("aws ec2 stop-instances", &["1"]);
    let id = waits(&approvals, &asker, &stop).await;
    answer(&approvals, &id, None).unwrap();
    let failure = clear(&approvals, &asker, &stop).await.unwrap_err();
    assert_eq!(failure.reason, Reason::DeniedByPolicy);
    assert!(approvals.watch(true).waiting().is_empty());
    assert_eq!(
        answer(&approvals, &id, None).unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test]
async fn a_client_answers_only_for_what_it_asked_for_itself() {
    let (approvals, (_one, first), (_two, second)) = (approvals(), asker(), asker());
    let id = waits(&approvals, &first, &work("aws ec2 stop-instances", &["1"])).await;
    let decision = v1::DecideApprovalRequest {
        id,
        approve: true,
        scope: ApprovalScope::Once.into(),
    };
    let refused = approvals
        .decide(By::Client(&second), &decision)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
    // Nor for all agents: its window is not theirs.
    let for_all = v1::DecideApprovalRequest {
        scope: ApprovalScope::Command.into(),
        ..decision.clone()
    };
    let refused = approvals.decide(By::Client(&first), &for_all).unwrap_err();
    assert_eq!(refused.reason, Reason::DeniedByPolicy);
    approvals.decide(By::Client(&first), &decision).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_only_where_somebody_can_be_asked() {
    let (approvals, (_connection, asker)) = (approvals(), asker());
    let stop = work("aws ec2 stop-instances", &["1"]);
    let patience = Duration::from_secs(40);
    let ask = || approvals.clear(&asker, stop.clone(), "preset guarded", patience);
    // No desktop, nobody who watches.
    let start = tokio::time::Instant::now();
    assert_eq!(ask().await.unwrap_err().reason, Reason::ApprovalRequired);
    assert!(start.elapsed() < Duration::from_secs(3));
    // One who only looks is nobody.
    let looks = approvals.watch(true);
    assert_eq!(ask().await.unwrap_err().reason, Reason::ApprovalRequired);
    let mut person = approvals.watch(false);
    let answers = async {
        let list = person.list.wait_for(|list| !list.is_empty()).await.unwrap();
        let id = list[0].id.clone();
        drop(list);
        answer(&approvals, &id, Some(ApprovalScope::Once)).unwrap();
    };
    let (cleared, ()) = tokio::join!(ask(), answers);
    cleared.unwrap();
    drop(looks);
    // Somebody sits there and says nothing.
    let start = tokio::time::Instant::now();
    assert_eq!(ask().await.unwrap_err().reason, Reason::ApprovalRequired);
    assert!(start.elapsed() >= patience);
}

#[test]
fn questions_and_answers_end() {
    let (_connection, asker) = asker();
    let mut state = State::default();
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    state.answers.push(Answer {
        asker,
        work: work("aws x", &[]),
        scope: Some(ApprovalScope::Once),
        until: at(10),
    });
    state.forget(at(9));
    assert_eq!(state.answers.len(), 1);
    state.forget(at(10));
    assert!(state.answers.is_empty());
}
