//! Threads for calls that wait for a disk, or that compute for longer than a task may.

use crate::runtime::message;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// Some threads and a bounded queue of jobs for them.
///
/// A job that was queued is done, even if nobody waits for it any more, and also when the pool is dropped.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that wait for one.
    idle: usize,
    /// Tasks that found the queue full.
    waiting: Vec<Waker>,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads called `name`, for which at most `capacity` jobs wait.
    ///
    /// # Errors
    /// When the kernel has no more threads.
    pub fn start(name: &str, threads: usize, capacity: usize) -> io::Result<Self> {
        let shared =
            Shared { queue: Mutex::default(), work: Condvar::new(), capacity: capacity.max(1) };
        let mut pool = Self { shared: Arc::new(shared), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            pool.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Runs `job` on one of the threads. While the queue is full the future waits. A panic of the job goes on in the
    /// task that waits for it.
    pub fn run<T, J>(&self, job: J) -> impl Future<Output = T> + Send + use<T, J>
    where
        T: Send + 'static,
        J: FnOnce() -> T + Send + 'static,
    {
        let answer = Arc::new(Answer::new());
        let reply = Arc::clone(&answer);
        let mut job: Option<Job> = Some(Box::new(move || {
            reply.give(catch_unwind(AssertUnwindSafe(job)));
        }));
        let shared = Arc::clone(&self.shared);
        poll_fn(move |cx| {
            if let Some(waiting) = job.take()
                && let Err(waiting) = shared.push(waiting, cx)
            {
                job = Some(waiting);
                return Poll::Pending;
            }
            answer.poll(cx).map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }

    /// Has `job` done at once, if a thread has nothing else to do: `false` if none has, and the job is gone. Nobody waits
    /// for it; a panic of it is logged.
    pub fn offer(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let mut queue = self.shared.lock();
        if queue.closed || queue.jobs.len() >= queue.idle {
            return false;
        }
        queue.jobs.push_back(Box::new(move || log_panic(&catch_unwind(AssertUnwindSafe(job)))));
        drop(queue);
        self.shared.work.notify_one();
        true
    }

    /// Whether jobs wait because all threads have something to do: an [offered](Self::offer) one that takes long ends then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let queue = self.shared.lock();
        queue.jobs.len() > queue.idle
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A job may hold the last handle: its thread can't wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn push(&self, job: Job, cx: &Context<'_>) -> Result<(), Job> {
        let mut queue = self.lock();
        if queue.closed {
            // The threads may be gone; the job is done all the same.
            drop(queue);
            job();
            return Ok(());
        }
        if queue.jobs.len() >= self.capacity {
            queue.waiting.push(cx.waker().clone());
            return Err(job);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                // All of them, as some may have given up; those that find it full again wait again.
                let room = queue.jobs.len() <= self.capacity / 2;
                let waiting = if room { std::mem::take(&mut queue.waiting) } else { Vec::new() };
                drop(queue);
                waiting.into_iter().for_each(Waker::wake);
                job();
                queue = self.lock();
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_panic<T>(result: &std::thread::Result<T>) {
    if let Err(panic) = result {
        tracing::error!(reason = message(&**panic), "a job panicked");
    }
}

/// The way back from a job to the task that waits.
struct Answer<T>(Mutex<Slot<T>>);

struct Slot<T> {
    result: Option<std::thread::Result<T>>,
    waker: Option<Waker>,
}

impl<T> Answer<T> {
    fn new() -> Self {
        Self(Mutex::new(Slot { result: None, waker: None }))
    }

    fn give(&self, result: std::thread::Result<T>) {
        log_panic(&result);
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<std::thread::Result<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = slot.result.take() {
            return Poll::Ready(result);
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
