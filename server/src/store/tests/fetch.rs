//! FETCH: how much one batch reads, and where.

use super::world::{at_once, config, open_with};
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::{Handled, ImapUser};
use imap_proto::fetch::{FetchItems, Fixed};
use imap_proto::{Answer, Ask, FetchAsk, MailboxName, Run, Seq, Uid, UidSet};
use runtime_smol::sim::SimFs;
use std::sync::Arc;

/// What rows that say little of many large messages cost is bounded all the same, and none is left out.
#[test]
fn a_batch_ends_for_what_it_reads_too() {
    const COUNT: u32 = 100;
    const SIZE: usize = 200 << 10;
    let config = StoreConfig { cache_memory: 0, ..config() };
    let store = open_with(&SimFs::new(), 1, config).unwrap();
    let account = store.account("u1").unwrap();
    let text = ["Subject: one\r\n\r\n", &"x".repeat(SIZE)].concat();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    let target = Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
    let mut delivery = store.deliver(vec![target]).unwrap();
    delivery.write(text.as_bytes()).unwrap();
    assert!(delivery.commit().results.iter().all(Result::is_ok));
    store.flush();
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    let copy = Ask::Copy {
        uids: UidSet::range(Uid(1), Uid(1)),
        mailbox: MailboxName::inbox(),
        moving: false,
        exact: true,
    };
    for _ in 1..COUNT {
        assert!(matches!(at_once(user.ask(copy.clone())), Answer::Copied { .. }));
    }
    store.flush();
    let items = Arc::new(FetchItems { fixed: Fixed::ENVELOPE, sections: Vec::new() });
    let (mut next, mut apart) = (1, false);
    while next <= COUNT {
        let handled = user.ask(Ask::Fetch(FetchAsk {
            runs: vec![Run { seq: Seq(next), uid: Uid(next), count: COUNT + 1 - next }],
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items.clone(),
            budget: 1 << 20,
            by_uid: true,
            recent: Arc::default(),
        }));
        let most = match &handled {
            Handled::Now(_) => 1 << 20,
            Handled::Work(_) => 8 << 20,
            Handled::Slices(_) => panic!("FETCH has no slices"),
        };
        assert!(!(apart && matches!(handled, Handled::Now(_))), "much is read at once again");
        apart = matches!(handled, Handled::Now(_));
        let answer = at_once(handled);
        let Answer::Rows { served, .. } = answer else { panic!("{answer:?}") };
        assert!(served > 0 && served as usize * SIZE <= most + SIZE, "{served} of {most} bytes");
        next += served;
    }
    assert_eq!(next, COUNT + 1);
}
