//! Attachments stored apart: what a crash leaves of them, what FETCH gives, and what nobody learns.

use super::crashes::{crash_everywhere, crash_everywhere_with};
use super::faults::fail_everywhere;
use super::world::{Op, config};
use crate::store::config::StoreConfig;
use crate::store::planted::{Planted, plant};

/// What has to do with attachments; and what may come between.
const OPS: [Op; 11] = [
    Op::DeliverAttachment,
    Op::DeliverOther,
    Op::Tend,
    Op::FreeAndTend,
    Op::Append,
    Op::Store,
    Op::Expunge,
    Op::Move,
    Op::Compact,
    Op::Snapshot,
    Op::LetGo,
];

/// Longer histories, in which contents are shared, leave, are needed again, and go.
const LIVES: [&[Op]; 6] = {
    use Op::{
        Compact, Delete, DeliverAttachment, DeliverOther, Expunge, FreeAndTend, LetGo, Move,
        Snapshot, Store, Tend,
    };
    [
        &[DeliverAttachment, Tend, DeliverAttachment, DeliverOther, Tend],
        &[DeliverAttachment, DeliverAttachment, Move, Delete, FreeAndTend, Compact, Tend],
        &[DeliverAttachment, Move, Delete, FreeAndTend, DeliverAttachment, Snapshot, Tend, Tend],
        &[DeliverOther, Tend, DeliverAttachment, LetGo, Tend, Snapshot, Tend],
        &[DeliverAttachment, DeliverAttachment, Store, Store, Expunge, FreeAndTend, Snapshot, Tend],
        &[DeliverAttachment, Move, Delete, Compact, Tend, DeliverOther, Tend, DeliverAttachment],
    ]
};

#[test]
fn a_crash_anywhere_with_attachments() {
    let mut crashes = 0;
    for other in OPS {
        for ops in [
            [Op::DeliverAttachment, other, Op::Tend],
            [other, Op::DeliverAttachment, Op::Tend],
            [Op::DeliverAttachment, Op::Tend, other],
        ] {
            let (count, violation) = crash_everywhere(&ops, 8);
            crashes += count;
            assert_eq!(violation, None);
        }
    }
    println!("{crashes} crashes, no violation");
}

#[test]
fn a_crash_anywhere_in_the_lives_of_attachments() {
    let mut crashes = 0;
    for ops in LIVES {
        // In containers of their own; and together in the journal, compressed.
        for (gather_max, compression) in [(256, None), (4096, Some(1))] {
            let config = StoreConfig { gather_max, compression, container_size: 9000, ..config() };
            let (count, violation, _) = crash_everywhere_with(&config, ops, 6);
            crashes += count;
            assert_eq!(violation, None);
        }
    }
    println!("{crashes} crashes, no violation");
}

#[test]
fn one_failing_operation_anywhere_with_attachments() {
    use Op::{DeliverAttachment, DeliverOther, Expunge, FreeAndTend, Snapshot, Store, Tend};
    let histories = [
        [DeliverAttachment, Tend, DeliverOther, DeliverAttachment, Tend],
        [DeliverAttachment, Store, Expunge, FreeAndTend, Snapshot],
        [DeliverAttachment, Snapshot, Tend, DeliverAttachment, Tend],
    ];
    let (struck, violation) = fail_everywhere(&config(), &histories);
    println!("{struck} failures, no violation");
    assert_eq!(violation, None);
}

#[test]
fn planted_faults_of_attachments_are_found() {
    for fault in Planted::ATTACHMENTS {
        plant(Some(fault));
        let found = LIVES.iter().any(|ops| {
            std::panic::catch_unwind(|| crash_everywhere(ops, 10).1.is_some()).unwrap_or(true)
        });
        plant(None);
        assert!(found, "{fault:?} is not found");
    }
}
