//! The chain of the audit. Threat: somebody who can write to the database changes what officers did, takes it out, or adds
//! what nobody did.

use perezvon::app::verify;
use perezvon::core::officer::Actor;
use perezvon::store::{AuditCheck, AuditEntry, AuditFault, AuditHead};

use crate::harness::{App, friday, stories};

async fn act(app: &App, action: &'static str, object: &str) {
    act_by(app, &app.store(), action, object).await;
}

async fn act_by(app: &App, store: &perezvon::store::Store, action: &'static str, object: &str) {
    let by = Actor { id: "officer 1".to_owned(), name: "Мадина И.".to_owned() };
    let entry = AuditEntry { by, action, object: object.to_owned(), detail: String::new(), address: String::new() };
    store.audit(entry, app.now()).await.unwrap();
}

/// Five rows: places 1 to 5, if nobody has done anything before.
async fn five_rows(app: &App) {
    for (action, object) in
        [("claim", "callback 1"), ("attempt", "callback 1"), ("done", "callback 1"), ("listen", "voicemail 1")]
    {
        act(app, action, object).await;
    }
    act(app, "logout", "officer 1").await;
}

async fn check(app: &App) -> AuditCheck {
    app.store().check_audit(None).await.unwrap()
}

async fn head(app: &App) -> AuditHead {
    app.store().audit_head().await.unwrap().expect("there are rows")
}

/// The row at this place of the chain.
async fn id_at(app: &App, seq: i64) -> i64 {
    app.number(&format!("SELECT id FROM audit WHERE seq = {seq}")).await
}

/// What the command prints, and whether everything is whole.
async fn verified(app: &App, printed: Option<AuditHead>) -> (bool, String) {
    let mut out = Vec::new();
    let is_whole = verify::audit(&app.store(), printed, &mut out).await.unwrap();
    (is_whole, String::from_utf8(out).unwrap())
}

stories! {
    async fn untouched_history_is_whole(app) {
        five_rows(app).await;
        let found = check(app).await;
        assert_eq!((found.good, found.erased, found.older, &found.faults[..]), (5, 0, 0, &[][..]));
        assert_eq!(found.head.map(|head| head.seq), Some(5));
        let (is_whole, told) = verified(app, None).await;
        let whole = format!("✓ Записей в истории действий: 5, цепочка цела, конец «{}».\n", head(app).await);
        assert_eq!((is_whole, told), (true, whole));
    }

    /// Threat: a row says something else now.
    async fn changed_row_is_named(app) {
        five_rows(app).await;
        for change in [
            "actor_name = 'Аминат'", "object = 'callback 2'", "detail = 'x'", "address = '192.0.2.1'", "action = 'listen'",
            "actor_id = 'officer 2'", "at = at + 1",
        ] {
            let column = change.split(' ').next().unwrap();
            let kept = app.rows(&format!("SELECT CAST({column} AS TEXT) FROM audit WHERE seq = 3")).await;
            let kept: String = sqlx::Row::get(&kept[0], 0);
            app.sql(&format!("UPDATE audit SET {change} WHERE seq = 3")).await;
            let id = id_at(app, 3).await;
            let found = check(app).await;
            let named = [AuditFault::Changed { seq: 3, id }, AuditFault::Unlinked { seq: 3, id }];
            assert!(matches!(&found.faults[..], [fault] if named.contains(fault)), "{change}: {:?}", found.faults);
            let (is_whole, told) = verified(app, None).await;
            assert!(!is_whole && told.contains("✗ История действий: запись 3 "), "{change}: {told}");
            let kept = if column == "at" { kept } else { format!("'{kept}'") };
            app.sql(&format!("UPDATE audit SET {column} = {kept} WHERE seq = 3")).await;
        }
        assert_eq!(check(app).await.faults, []);
    }

    /// Threat: somebody who can make hashes as well changes a row and its hash: the next one does not follow it.
    async fn row_with_a_hash_of_its_own_is_not_followed(app) {
        five_rows(app).await;
        app.sql("UPDATE audit SET sha256 = content_sha256 WHERE seq = 3").await;
        let found = check(app).await;
        let (third, fourth) = (id_at(app, 3).await, id_at(app, 4).await);
        let unlinked = [AuditFault::Unlinked { seq: 3, id: third }, AuditFault::Unlinked { seq: 4, id: fourth }];
        assert_eq!(found.faults, unlinked);
    }

    /// Threat: a row is taken out, in the middle, at the beginning or at the end.
    async fn missing_rows_are_named(app) {
        five_rows(app).await;
        app.sql("DELETE FROM audit WHERE seq IN (1, 3)").await;
        let found = check(app).await;
        let missing = [AuditFault::Missing { first: 1, last: 1 }, AuditFault::Missing { first: 3, last: 3 }];
        assert_eq!(found.faults, missing);
        app.sql("DELETE FROM audit WHERE seq >= 4").await;
        assert_eq!(check(app).await.faults[1..], [AuditFault::Missing { first: 3, last: 5 }]);
        let (is_whole, told) = verified(app, None).await;
        assert!(!is_whole && told.contains("✗ История действий: записей с 3 по 5 нет\n"), "{told}");
    }

    /// Threat: a row is put in.
    async fn added_rows_are_named(app) {
        five_rows(app).await;
        let columns = "actor_id, actor_name, action, object, detail, address";
        for (id, seq) in [("id + 1", "NULL"), ("id + 2", "6")] {
            app.sql(&format!(
                "INSERT INTO audit (id, at, {columns}, seq, content_sha256, sha256)
                 SELECT {id}, at, {columns}, {seq}, content_sha256, sha256 FROM audit WHERE seq = 5"
            ))
            .await;
        }
        let last = id_at(app, 5).await;
        assert_eq!(check(app).await.faults, [AuditFault::Added { id: last + 1 }, AuditFault::Added { id: last + 2 }]);
    }

    /// Threat: the end is cut off, and the place where the end is kept is set back as well. Paper knows better.
    async fn printed_head_proves_what_was_cut_off(app) {
        five_rows(app).await;
        let printed = head(app).await;
        act(app, "login", "officer 1").await;
        let (is_whole, told) = verified(app, Some(printed)).await;
        assert!(is_whole && told.contains(&format!("✓ Запись «{printed}» на месте")), "{told}");
        let typed: AuditHead = printed.to_string().to_uppercase().replace('-', " ").parse().unwrap();
        assert_eq!(typed, printed);
        app.sql("DELETE FROM audit WHERE seq >= 5").await;
        app.sql("UPDATE audit_chain SET seq = 4, sha256 = (SELECT sha256 FROM audit WHERE seq = 4)").await;
        assert_eq!(check(app).await.faults, []);
        act(app, "login", "officer 1").await;
        let (is_whole, told) = verified(app, Some(printed)).await;
        assert!(!is_whole && told.contains("✗ История действий: запись 5 не та, что напечатана, или её нет\n"), "{told}");
    }

    async fn erased_content_leaves_the_chain_whole(app) {
        five_rows(app).await;
        app.sql("UPDATE audit SET salt = NULL, actor_name = '', object = '', detail = '', address = '' WHERE seq = 2").await;
        let found = check(app).await;
        assert_eq!((found.good, found.erased, &found.faults[..]), (5, 1, &[][..]));
        assert!(verified(app, None).await.1.contains("; содержание стёрто в 1."));
    }

    /// Two programs on one database add to one chain, also at the same moment.
    async fn several_instances_make_one_chain(app) {
        let (other, _worker) = app.second_house().await;
        let here = app.store();
        let one = async {
            for _ in 0..20 {
                act_by(app, &here, "claim", "callback 1").await;
            }
        };
        let two = async {
            for _ in 0..20 {
                act_by(app, &other, "release", "callback 1").await;
            }
        };
        tokio::join!(one, two);
        let found = check(app).await;
        assert_eq!((found.good, &found.faults[..]), (40, &[][..]));
    }

    /// What was refused or undone leaves no row and no gap.
    async fn refused_action_leaves_no_gap(app) {
        app.clock.set(friday("19:40"));
        app.message_from("CA1", "+79281234567").await;
        app.leave_the_jobs().await;
        let by = Actor { id: "officer 1".to_owned(), name: "Мадина И.".to_owned() };
        let id = app.callback().await.id;
        app.act(id, &by, perezvon::core::callback::Action::Claim).await.unwrap();
        let before = check(app).await;
        app.act(id + 1, &by, perezvon::core::callback::Action::Claim).await.unwrap_err();
        assert_eq!(check(app).await, before);
        assert!(before.good > 0 && before.faults.is_empty(), "{before:?}");
    }

    async fn rows_from_before_the_chain_are_counted(app) {
        app.sql(
            "INSERT INTO audit (id, at, actor_id, actor_name, action, object, detail, address)
             VALUES (1, 1, 'officer 1', 'М', 'login', 'officer 1', '', ''), (2, 2, 'officer 1', 'М', 'logout', 'officer 1', '', '')",
        )
        .await;
        app.sql("UPDATE audit_chain SET older_rows = 2, newest_older_id = 2").await;
        five_rows(app).await;
        let found = check(app).await;
        assert_eq!((found.good, found.older, &found.faults[..]), (5, 2, &[][..]));
        assert!(verified(app, None).await.1.contains("; до начала цепочки сделано 2, они не защищены."));
        app.sql("DELETE FROM audit WHERE id = 1").await;
        assert_eq!(check(app).await.faults, [AuditFault::OlderRows { written: 2, found: 1 }]);
    }
}
