//! What operations cost in a mailbox's log, and how fast it is replayed.
//!
//! `cargo bench -p loft-index-format --bench log`; with `-- replay` only the replay, for `perf stat`.

mod common;

use common::history::{Deed, Step, history};
use common::{nanoseconds, print};
use index_format::log::{Frames, write_frame};
use index_format::mailbox::Mailbox;
use index_format::record::{Names, Transaction};
use std::collections::BTreeMap;

/// Transactions of the history.
const STEPS: usize = 200_000;
/// A large frame is tried compressed from so many bytes on.
const LARGE: usize = 512;

fn main() {
    let (steps, last) = history(STEPS, 42);
    let log = log_of(&steps);
    if !std::env::args().any(|argument| argument == "replay") {
        costs(&steps);
    }
    replay(&steps, &log, &last);
}

fn log_of(steps: &[Step]) -> Vec<u8> {
    let (mut log, mut names) = (Vec::new(), Names::default());
    for step in steps {
        let payload = payload(&step.transaction, &mut names);
        write_frame(1, &payload, &mut log).expect("small frames");
    }
    log
}

fn payload(transaction: &Transaction, names: &mut Names) -> Vec<u8> {
    let mut payload = Vec::new();
    transaction.encode(names, &mut payload).expect("what was built");
    payload
}

/// Bytes of each kind of transaction; and what compressing would change.
fn costs(steps: &[Step]) {
    #[derive(Default)]
    struct Sum {
        count: usize,
        bytes: usize,
        most: usize,
    }
    let mut sums: BTreeMap<Deed, Sum> = BTreeMap::new();
    let mut names = Names::default();
    let mut samples = Vec::new();
    let (mut large, mut large_packed) = ((0, 0), 0);
    for step in steps {
        let payload = payload(&step.transaction, &mut names);
        let mut frame = Vec::new();
        write_frame(1, &payload, &mut frame).expect("small frames");
        let sum = sums.entry(step.deed).or_default();
        sum.count += 1;
        sum.bytes += frame.len();
        sum.most = sum.most.max(frame.len());
        if payload.len() >= LARGE {
            large = (large.0 + 1, large.1 + payload.len());
            large_packed +=
                zstd::bulk::compress(&payload, 3).map_or(payload.len(), |packed| packed.len());
        }
        samples.push(payload);
    }
    let mut rows = vec![["", "times", "bytes each", "at most"].map(str::to_owned).to_vec()];
    for (deed, sum) in &sums {
        let each = format!("{:.1}", sum.bytes as f64 / sum.count as f64);
        rows.push(vec![deed.name().into(), sum.count.to_string(), each, sum.most.to_string()]);
    }
    let bytes: usize = sums.values().map(|sum| sum.bytes).sum();
    let each = format!("{:.1}", bytes as f64 / steps.len() as f64);
    rows.push(vec!["all".into(), steps.len().to_string(), each, String::new()]);
    print(&rows);

    let whole: usize = samples.iter().map(Vec::len).sum();
    let (train, rest) = samples.split_at(samples.len() / 10);
    let dictionary = zstd::dict::from_samples(train, 16 << 10).unwrap_or_default();
    let packed = |dictionary: &[u8]| -> usize {
        let mut packer = zstd::bulk::Compressor::with_dictionary(3, dictionary).expect("zstd");
        let packed = rest
            .iter()
            .map(|one| packer.compress(one).map_or(one.len(), |p| p.len().min(one.len())));
        packed.sum()
    };
    let plain: usize = rest.iter().map(Vec::len).sum();
    let rows = [
        ["compressing", "payloads, bytes", "packed, bytes"].map(str::to_owned).to_vec(),
        vec!["each frame, zstd".into(), plain.to_string(), packed(&[]).to_string()],
        vec![
            "each frame, zstd with a dictionary".into(),
            plain.to_string(),
            packed(&dictionary).to_string(),
        ],
        vec![
            format!("{} frames from {LARGE} bytes on, zstd", large.0),
            large.1.to_string(),
            large_packed.to_string(),
        ],
        vec![
            "all payloads as one piece, zstd".into(),
            whole.to_string(),
            zstd::bulk::compress(&samples.concat(), 3).map_or(0, |packed| packed.len()).to_string(),
        ],
    ];
    print(&rows);
}

fn replay(steps: &[Step], log: &[u8], last: &Mailbox) {
    let records: usize = steps.iter().map(|step| step.transaction.records.len()).sum();
    let run = || {
        let mut mailbox = Mailbox::new(1_750_000_000, 0);
        let mut transaction = Transaction::default();
        for frame in Frames::tail(log, 0, 1) {
            transaction.decode_into(frame.payload, frame.start).expect("what was written");
            mailbox.apply(&transaction).expect("what was applied before");
        }
        mailbox
    };
    assert_eq!(run(), *last);
    let each = nanoseconds(records, run);
    print(&[
        ["replay", "transactions", "records", "bytes", "ns a record", "records a second"]
            .map(str::to_owned)
            .to_vec(),
        vec![
            "a history".into(),
            steps.len().to_string(),
            records.to_string(),
            log.len().to_string(),
            format!("{each:.0}"),
            format!("{:.1} million", 1000.0 / each),
        ],
    ]);
}
