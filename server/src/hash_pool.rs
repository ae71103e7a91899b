//! Threads that hash passwords, and who waits for them.
//!
//! Hashing is slow on purpose, so whoever may ask for it could keep a server busy. Invariants:
//! - At most [`WAITING`] log-ins wait; who comes then is turned away at once, and nobody's mail waits for a hash.
//! - Those who wait take turns by address: many from one address don't delay one from another, and when all places are
//!   taken it is the address with most of them that loses one.
//! - The threads that hash stand back for those that serve.

use crate::admission::one_address;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use tracing::error;

/// Log-ins that wait, beside those that are at work: with argon2id, about a second's worth on two cores.
pub const WAITING: usize = 64;

/// How much the threads stand back for those that serve: a hash keeps a core for 20 ms and more, mail for less than 1.
const NICE: i32 = 10;

/// Too many wait already.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many log-ins are waiting")]
pub struct Busy;

/// The threads.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Who takes turns: an IPv4 address, the /64 of an IPv6 one, `None` for UNIX sockets.
type From = Option<IpAddr>;

struct Shared {
    line: Mutex<Line>,
    work: Condvar,
    places: usize,
}

#[derive(Default)]
struct Line {
    /// By address, each in the order it came; none is empty.
    waiting: BTreeMap<From, VecDeque<Waiting>>,
    /// Whose turn it is.
    turns: VecDeque<From>,
    count: usize,
    next: u64,
    closed: bool,
}

struct Waiting {
    number: u64,
    /// Called with whether it is to be done, or is turned away.
    job: Box<dyn FnOnce(bool) + Send>,
}

impl HashPool {
    /// Starts `threads` threads, 0 for one a core, for which at most `places` jobs wait.
    ///
    /// # Errors
    /// When the kernel has no more threads.
    pub fn start(threads: usize, places: usize) -> io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let shared = Shared { line: Mutex::default(), work: Condvar::new(), places: places.max(1) };
        let mut pool = Self { shared: Arc::new(shared), threads: Vec::new() };
        for number in 0..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("hash-{number}"));
            pool.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Has `job` done for a client at `from`. It may still be turned away while it waits; dropping what is returned
    /// takes it out of the line.
    ///
    /// # Errors
    /// When all places are taken, and no other address has more of them than this one.
    pub fn run<T: Send + 'static>(
        &self,
        from: Option<IpAddr>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Hashing<T>, Busy> {
        let answer = Arc::new(Mutex::new(Answer { result: None, waker: None }));
        let reply = answer.clone();
        let job = Box::new(move |wanted: bool| {
            let done = wanted.then(|| catch_unwind(AssertUnwindSafe(job)));
            let result = match done {
                Some(Ok(value)) => Ok(value),
                Some(Err(_panic)) => {
                    error!("hashing a password panicked");
                    Err(Busy)
                }
                None => Err(Busy),
            };
            let mut answer = reply.lock().unwrap_or_else(PoisonError::into_inner);
            answer.result = Some(result);
            let waker = answer.waker.take();
            drop(answer);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let from = from.map(one_address);
        let number = self.shared.push(from, job)?;
        Ok(Hashing { answer, shared: self.shared.clone(), from, number })
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        let mut line = self.shared.line();
        line.closed = true;
        drop(line);
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() {
                let _panicked = thread.join();
            }
        }
    }
}

impl Shared {
    fn push(&self, from: From, job: Box<dyn FnOnce(bool) + Send>) -> Result<u64, Busy> {
        let mut line = self.line();
        let turned_away = if line.count < self.places {
            None
        } else {
            // Equal shares stay as they are.
            let own = line.waiting.get(&from).map_or(0, VecDeque::len);
            let most = line.waiting.iter().max_by_key(|(_, jobs)| jobs.len());
            let greedy = most.filter(|(_, jobs)| jobs.len() > own + 1).map(|(from, _)| *from);
            let greedy = greedy.ok_or(Busy)?;
            let last = line.waiting.get(&greedy).and_then(VecDeque::back).map(|job| job.number);
            last.and_then(|number| line.take(greedy, number))
        };
        let number = line.next;
        line.next += 1;
        line.count += 1;
        line.waiting.entry(from).or_default().push_back(Waiting { number, job });
        if !line.turns.contains(&from) {
            line.turns.push_back(from);
        }
        drop(line);
        self.work.notify_one();
        if let Some(last) = turned_away {
            (last.job)(false);
        }
        Ok(number)
    }

    fn work(&self) {
        // Of this thread alone (setpriority(2)). Where it can't be had, hashes and mail share the cores.
        let _same = rustix::process::setpriority_process(None, NICE);
        let mut line = self.line();
        loop {
            if line.closed {
                return;
            }
            if let Some(next) = line.next() {
                drop(line);
                (next.job)(true);
                line = self.line();
            } else {
                line = self.work.wait(line).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The first of the address whose turn it is.
    fn next(&mut self) -> Option<Waiting> {
        let from = self.turns.pop_front()?;
        let jobs = self.waiting.get_mut(&from)?;
        let job = jobs.pop_front()?;
        self.count -= 1;
        if jobs.is_empty() {
            self.waiting.remove(&from);
        } else {
            self.turns.push_back(from);
        }
        Some(job)
    }

    /// Takes one out, if it still waits.
    fn take(&mut self, from: From, number: u64) -> Option<Waiting> {
        let jobs = self.waiting.get_mut(&from)?;
        let at = jobs.iter().position(|job| job.number == number)?;
        let job = jobs.remove(at)?;
        self.count -= 1;
        if jobs.is_empty() {
            self.waiting.remove(&from);
            self.turns.retain(|turn| *turn != from);
        }
        Some(job)
    }
}

/// A job that is waited for.
pub struct Hashing<T> {
    answer: Arc<Mutex<Answer<T>>>,
    shared: Arc<Shared>,
    from: From,
    number: u64,
}

struct Answer<T> {
    result: Option<Result<T, Busy>>,
    waker: Option<Waker>,
}

impl<T> Future for Hashing<T> {
    type Output = Result<T, Busy>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = answer.result.take() {
            return Poll::Ready(result);
        }
        answer.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Hashing<T> {
    fn drop(&mut self) {
        let nobody_waits = self.shared.line().take(self.from, self.number);
        // Outside the lock: it holds a password to be wiped, and may hold anything.
        drop(nobody_waits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::block_on;
    use std::sync::mpsc;

    /// A pool of one thread, which is kept busy until the sender is used.
    fn busy(places: usize) -> (HashPool, mpsc::Sender<()>, Hashing<()>) {
        let pool = HashPool::start(1, places).unwrap();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let job = pool.run(None, move || {
            begun.send(()).unwrap();
            let _end = may_go_on.recv();
        });
        has_begun.recv().unwrap();
        (pool, go_on, job.unwrap())
    }

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn addresses_take_turns() {
        let (pool, go_on, first) = busy(64);
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut jobs = Vec::new();
        for (from, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            let done = done.clone();
            jobs.push(pool.run(ip(from), move || done.lock().unwrap().push(name)).unwrap());
        }
        go_on.send(()).unwrap();
        block_on(first).unwrap();
        for job in jobs {
            block_on(job).unwrap();
        }
        assert_eq!(*done.lock().unwrap(), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn who_comes_when_all_places_are_taken_is_turned_away_unless_another_has_more() {
        let (pool, go_on, first) = busy(4);
        let mut greedy: Vec<_> = (0..4).map(|n| pool.run(ip(1), move || n).unwrap()).collect();
        assert_eq!(pool.run(ip(1), || 9).err(), Some(Busy));
        let b = pool.run(ip(2), || 10).unwrap();
        assert_eq!(block_on(greedy.pop().unwrap()), Err(Busy));
        let c = pool.run(ip(2), || 11).unwrap();
        assert_eq!(block_on(greedy.pop().unwrap()), Err(Busy));
        // Two each: nobody has more than a newcomer of either would get.
        assert_eq!(pool.run(ip(2), || 12).err(), Some(Busy));
        let d = pool.run(ip(3), || 13).unwrap();
        go_on.send(()).unwrap();
        block_on(first).unwrap();
        let all = [b, c, d].map(block_on);
        let kept: Vec<_> = greedy.into_iter().map(block_on).collect();
        let done = all.iter().chain(&kept).filter(|result| result.is_ok()).count();
        assert_eq!((all[2], done), (Ok(13), 4), "{all:?} {kept:?}");
    }

    #[test]
    fn who_gives_up_frees_a_place_and_costs_no_hash() {
        let (pool, go_on, first) = busy(1);
        let (ran, has_run) = mpsc::channel();
        let gone = pool.run(ip(1), move || ran.send(()).unwrap()).unwrap();
        assert!(pool.run(ip(2), || ()).is_err());
        drop(gone);
        let next = pool.run(ip(2), || ()).unwrap();
        go_on.send(()).unwrap();
        block_on(first).unwrap();
        block_on(next).unwrap();
        assert!(has_run.try_recv().is_err());
    }

    #[test]
    fn a_panic_costs_its_own_log_in_only() {
        let pool = HashPool::start(1, 4).unwrap();
        let bad: Hashing<()> = pool.run(None, || panic!("on purpose")).unwrap();
        assert_eq!(block_on(bad), Err(Busy));
        assert_eq!(block_on(pool.run(None, || 7).unwrap()), Ok(7));
    }
}
