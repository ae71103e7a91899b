//! Many processes append to one log without a lock. Some are killed in mid-write, some have their writes cut short by a
//! file-size limit; a reader follows live. What a writer was told is there, once, where it was told.
//!
//! `LOFT_HAMMER_RECORDS` sets how many records are read before it ends (100,000).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail so, and measures time"
)]

use index_format::Guid;
use index_format::log::Kind;
use loft::shared_log::{Error, Follower, Place, SharedLog, Which};
use runtime_smol::fs::RealFs;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Processes that append at the same time.
const WRITERS: usize = 16;
/// A log goes on in its next file from here on, bytes.
const FILE_SIZE: u64 = 2 << 20;
/// The longest payload, bytes.
const PAYLOAD_MAX: u64 = 1 << 20;

#[test]
fn sixteen_processes_append_and_die_and_nothing_is_lost_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    let goal = std::env::var("LOFT_HAMMER_RECORDS").map_or(100_000, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| random(), |text| text.parse().unwrap());
    let mut rng = Rng(seed);
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|_| Writer::start(dir.path(), &mut rng)).collect();
    let mut started = WRITERS;
    let mut reading = Reading::new(dir.path());
    let (mut killed, mut next_kill) = (0, Instant::now());
    let mut ended = Vec::new();
    while reading.found.len() < goal {
        reading.poll();
        if Instant::now() >= next_kill {
            let victim = rng.below(WRITERS as u64) as usize;
            let mut writer =
                std::mem::replace(&mut writers[victim], Writer::start(dir.path(), &mut rng));
            started += 1;
            killed += usize::from(writer.kill());
            ended.push(writer);
            next_kill = Instant::now() + Duration::from_millis(2 + rng.below(20));
        }
        for writer in &mut writers {
            // A writer leaves only with its task done or with what it found wrong.
            if let Some(status) = writer.child.try_wait().unwrap() {
                panic!("seed {seed}: writer {} left: {status}", writer.number);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for writer in &mut writers {
        writer.kill();
    }
    ended.extend(writers);
    reading.poll();
    let mut afterwards = Reading::new(dir.path());
    afterwards.poll();
    assert_eq!(reading.found, afterwards.found, "seed {seed}: early and late readers differ");

    let mut counts = Counts::default();
    for writer in &ended {
        counts.add(dir.path(), writer.number, &reading.found, seed);
    }
    println!(
        "seed {seed}: {} records by {started} processes in {} files; {} acknowledged, {killed} processes killed, \
         {} frames repeated in the next file, {} refused by a file-size limit",
        reading.found.len(),
        reading.files,
        counts.acknowledged,
        counts.repeated,
        counts.refused,
    );
    assert!(
        counts.acknowledged * 2 > goal,
        "seed {seed}: too few were acknowledged to show anything"
    );
    assert!(
        killed > 0 && counts.refused > 0 && reading.files > 1,
        "seed {seed}: nothing went wrong"
    );
}

/// What the reader has seen of each record.
struct Reading {
    follower: Follower,
    found: HashMap<(u64, u64), (u32, u64, u64)>,
    files: u32,
}

impl Reading {
    fn new(dir: &Path) -> Self {
        Self {
            follower: Follower::new(Arc::new(RealFs), which(dir)),
            found: HashMap::new(),
            files: 0,
        }
    }

    fn poll(&mut self) {
        let (found, files) = (&mut self.found, &mut self.files);
        self.follower
            .poll(&mut |place, payload| {
                let id = check(payload);
                let before = found.insert(id, (place.file, place.start, place.transaction));
                assert!(before.is_none(), "{id:?} is there twice: {before:?} and {place:?}");
                assert_eq!(place.transaction + 1, found.len() as u64, "transactions are counted");
                *files = place.file;
            })
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[derive(Default)]
struct Counts {
    acknowledged: usize,
    repeated: usize,
    refused: usize,
}

impl Counts {
    /// Compares a writer's ledger with what was read.
    fn add(
        &mut self,
        dir: &Path,
        writer: u64,
        found: &HashMap<(u64, u64), (u32, u64, u64)>,
        seed: u64,
    ) {
        let ledger = fs::read_to_string(dir.join(format!("ledger.{writer}"))).unwrap_or_default();
        for line in ledger.lines() {
            // The last line of one that was killed may be cut.
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ok", number, file, start, transaction, "."] => {
                    let told = (
                        file.parse().unwrap(),
                        start.parse().unwrap(),
                        transaction.parse().unwrap(),
                    );
                    let is = found.get(&(writer, number.parse().unwrap()));
                    assert_eq!(is, Some(&told), "seed {seed}: record {number} of writer {writer}");
                    self.acknowledged += 1;
                }
                ["no", number, "."] => {
                    let is = found.get(&(writer, number.parse().unwrap()));
                    assert_eq!(is, None, "seed {seed}: refused record {number} of writer {writer}");
                    self.refused += 1;
                }
                ["moved", _, "."] => self.repeated += 1,
                ["wrong", ..] => panic!("seed {seed}: writer {writer}: {line}"),
                _ => {}
            }
        }
    }
}

struct Writer {
    number: u64,
    child: Child,
}

impl Writer {
    /// Every fourth one has a limit on the size of its files, somewhere inside the log's.
    fn start(dir: &Path, rng: &mut Rng) -> Self {
        static NUMBERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let limit = match rng.below(4) {
            // 512-byte blocks.
            0 => format!("ulimit -f {}; ", 256 + rng.below(FILE_SIZE / 512)),
            _ => String::new(),
        };
        // An ignored signal stays ignored: writes past the limit fail instead of ending the process.
        let script = format!("trap '' XFSZ; {limit}exec \"$0\" --exact writer --nocapture");
        let child = Command::new("/bin/sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env("LOFT_HAMMER_DIR", dir)
            .env("LOFT_HAMMER_WRITER", number.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { number, child }
    }

    /// Whether it was still there.
    fn kill(&mut self) -> bool {
        let there = self.child.try_wait().unwrap().is_none();
        let _gone = self.child.kill();
        self.child.wait().unwrap();
        there
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The other processes: does nothing unless started by the test above.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os("LOFT_HAMMER_DIR") else { return };
    let number: u64 = std::env::var("LOFT_HAMMER_WRITER").unwrap().parse().unwrap();
    let dir = Path::new(&dir);
    let path = dir.join(format!("ledger.{number}"));
    let mut ledger = BufWriter::new(File::create(path).unwrap());
    if let Err(error) = append_for_ever(dir, number, &mut ledger) {
        let _lost = writeln!(ledger, "wrong {error}");
        let _lost = ledger.flush();
        eprintln!("writer {number}: {error}");
        std::process::exit(1);
    }
}

fn append_for_ever(
    dir: &Path,
    number: u64,
    ledger: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let random: loft::store::Random = Arc::new(|bytes| {
        bytes
            .chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&random().to_le_bytes()[..chunk.len()]))
    });
    let mut log = SharedLog::open(Arc::new(RealFs), which(dir), FILE_SIZE, random)?;
    let mut rng = Rng(random_of(number));
    let mut last_file = 0;
    let mut payload = Vec::new();
    for record in 0.. {
        make(&mut payload, (number, record), &mut rng);
        match log.append(&payload) {
            Ok(Place { file, start, transaction, .. }) => {
                writeln!(ledger, "ok {record} {file} {start} {transaction} .")?;
                if last_file != 0 && file != last_file {
                    writeln!(ledger, "moved {record} .")?;
                }
                last_file = file;
            }
            // At its limit, or longer than its limit lets through.
            Err(error) if at_limit(&error) || matches!(error, Error::GaveUp { .. }) => {
                writeln!(ledger, "no {record} .")?;
                // Others have to fill the file.
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
        // A ledger is believed line by line: what was acknowledged but not written here is just not asked for.
        if record % 16 == 0 {
            ledger.flush()?;
        }
    }
    Ok(())
}

fn at_limit(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(EFBIG))
}

/// A record says who made it; the rest follows from that. Mostly small, some of the largest.
fn make(payload: &mut Vec<u8>, (writer, record): (u64, u64), rng: &mut Rng) {
    let length = match rng.below(1000) {
        0..=5 => rng.below(PAYLOAD_MAX),
        6..=40 => rng.below(20_000),
        _ => rng.below(200),
    };
    payload.clear();
    payload.extend_from_slice(&writer.to_le_bytes());
    payload.extend_from_slice(&record.to_le_bytes());
    let mut filler = Filler::new(writer, record);
    while (payload.len() as u64) < 16 + length && (payload.len() as u64) < PAYLOAD_MAX {
        payload.extend_from_slice(&filler.next());
    }
}

/// What fills a record. Every other one is made of the first byte of a frame: when one of those is cut short, the
/// frame behind it may well begin with what it lacks.
struct Filler(Option<Rng>);

impl Filler {
    fn new(writer: u64, record: u64) -> Self {
        Self(record.is_multiple_of(2).then_some(Rng(writer << 32 ^ record)))
    }

    fn next(&mut self) -> [u8; 8] {
        self.0.as_mut().map_or([0xb5; 8], |rng| rng.next().to_le_bytes())
    }
}

/// Who made a record; panics when the rest does not follow from that.
fn check(payload: &[u8]) -> (u64, u64) {
    let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
    let (writer, record) = (number(0), number(8));
    let mut filler = Filler::new(writer, record);
    for chunk in payload[16..].chunks(8) {
        assert_eq!(chunk, filler.next(), "record {record} of writer {writer}");
    }
    (writer, record)
}

fn which(dir: &Path) -> Which {
    Which { dir: dir.join("log"), base: "log".into(), kind: Kind::Map, owner: Guid([7; 16]) }
}

/// xorshift64*: reproducible from its seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

fn random_of(number: u64) -> u64 {
    random() ^ number
}

const EFBIG: i32 = 27;
