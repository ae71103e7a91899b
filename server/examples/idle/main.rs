//! What idle connections cost a server: memory, and how soon they are told of new mail.
//!
//! Starts the `loft` that lies beside it (or that of `--loft`) on an empty store, opens connections, and reads the
//! server's proportional set size from `/proc`. Needs Linux, and two descriptors for each connection (`ulimit -n`).
//!
//! ```text
//! cargo build --release -p loft --bins --examples
//! target/release/examples/idle --sessions 10000 --tls        # each in its own INBOX, in IDLE
//! target/release/examples/idle --sessions 1000 --tls --shared # all in one INBOX
//! target/release/examples/idle --sessions 1000 --tls --guests literal
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "it measures from outside: no part of the server is here"
)]

mod client;
mod guests;
mod server;
mod watch;

use clap::Parser;
use client::Client;
use guests::Guest;
use server::Server;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use watch::Latencies;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Connections from one address: well below the ports that a system gives out by itself.
const PER_ADDRESS: usize = 20_000;

/// Measures idle connections of a Loft server.
#[derive(Parser)]
struct Args {
    /// How many connections.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Over TLS.
    #[arg(long)]
    tls: bool,
    /// All are in the INBOX of the same account; otherwise each has its own.
    #[arg(long)]
    shared: bool,
    /// They don't log in but send this, and wait.
    #[arg(long, value_enum)]
    guests: Option<Guest>,
    /// Messages delivered one after the other while they are in IDLE.
    #[arg(long, default_value_t = 1000)]
    deliveries: usize,
    /// Messages that are in each INBOX before.
    #[arg(long, default_value_t = 0)]
    mailbox: usize,
    /// Seconds to wait before memory is looked at.
    #[arg(long, default_value_t = 4)]
    settle: u64,
    /// Seconds to stay in IDLE afterwards, to see that no connection is lost.
    #[arg(long, default_value_t = 0)]
    stay: u64,
    /// The server's binary.
    #[arg(long)]
    loft: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let files = runtime_smol::raise_open_files()?;
    if files < args.sessions as u64 + 100 {
        return Err(format!("{files} open files are allowed: too few, see `ulimit -n`").into());
    }
    let loft = match &args.loft {
        Some(path) => path.clone(),
        None => beside()?,
    };
    let mut server = Server::start(&loft, args.sessions)?;
    match args.guests {
        Some(guest) => measure_guests(&args, guest, &mut server),
        None => measure_sessions(&args, &mut server),
    }
}

/// The `loft` that was built with this program: `target/release/loft` for `target/release/examples/idle`.
fn beside() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let dir = this.parent().and_then(|examples| examples.parent()).ok_or("no directory")?;
    Ok(dir.join("loft"))
}

fn measure_sessions(args: &Args, server: &mut Server) -> Result<()> {
    let accounts = if args.shared { 1 } else { args.sessions };
    if args.mailbox > 0 {
        for account in 1..=accounts {
            server.fill(account, args.mailbox)?;
        }
        // The figure is that of a fresh server, whose accounts nobody has asked for yet.
        server.restart()?;
    }
    let before = server.memory()?;
    let at = if args.tls { server.imaps } else { server.imap };
    let begun = Instant::now();
    let clients = open(args.sessions, |number| {
        let mut client = Client::connect(source(number), at, args.tls)?;
        client.greeting()?;
        let account = if args.shared { 1 } else { number + 1 };
        client.command(&format!("LOGIN u{account} pw"))?;
        client.command("SELECT INBOX")?;
        client.idle()?;
        Ok(client)
    })?;
    println!("opened     {} sessions in {:.1} s", args.sessions, begun.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(args.settle));
    report("memory", before, server.memory()?, args.sessions);

    let mut watch = watch::Watch::new(clients)?;
    if args.shared {
        let mut each = Latencies::default();
        let mut last = Latencies::default();
        for _ in 0..args.deliveries.min(50) {
            let told = watch.deliver_to_all(server.lmtp)?;
            last.note(told.iter().copied().max().unwrap_or_default());
            told.into_iter().for_each(|latency| each.note(latency));
        }
        println!("told       {each}, each of {} watchers", args.sessions);
        println!("all told   {last}, the last of them");
    } else {
        let told = watch.deliver_to_own(server.lmtp, args.deliveries)?;
        println!("told       {told}, of own mail");
    }
    std::thread::sleep(Duration::from_secs(args.settle));
    report("after mail", before, server.memory()?, args.sessions);
    std::thread::sleep(Duration::from_secs(args.stay));
    println!("dropped    {}", watch.dropped()?);
    Ok(())
}

fn measure_guests(args: &Args, guest: Guest, server: &mut Server) -> Result<()> {
    let at = if args.tls { server.imaps } else { server.imap };
    // What the first connection makes for all is none's own.
    let first = guest.connect(source(0), at, args.tls)?;
    std::thread::sleep(Duration::from_millis(500));
    let before = server.memory()?;
    let guests = open(args.sessions, |number| guest.connect(source(number), at, args.tls))?;
    std::thread::sleep(Duration::from_secs(args.settle.min(5)));
    report("memory", before, server.memory()?, args.sessions);
    drop((first, guests));
    Ok(())
}

/// Addresses of this machine, so that there are ports enough.
fn source(number: usize) -> SocketAddr {
    let address = 2 + (number / PER_ADDRESS) as u8;
    SocketAddr::from(([127, 0, 0, address], 0))
}

/// Opens connections, some at the same time; they come back in order.
fn open<T: Send>(count: usize, connect: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    const AT_ONCE: usize = 8;
    let next = AtomicUsize::new(0);
    let open = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let connection = connect(number)?;
                open.lock().unwrap_or_else(PoisonError::into_inner).push((number, connection));
            }
        };
        let threads: Vec<_> = (0..AT_ONCE.min(count)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Result::Ok(())
    })?;
    let mut open = open.into_inner().unwrap_or_else(PoisonError::into_inner);
    open.sort_by_key(|(number, _)| *number);
    Ok(open.into_iter().map(|(_, connection)| connection).collect())
}

fn report(what: &str, before: u64, after: u64, count: usize) {
    let each = after.saturating_sub(before) as f64 / count as f64;
    println!("{what:<10} {before} KiB before, {after} KiB now: {each:.2} KiB each (PSS)");
}
