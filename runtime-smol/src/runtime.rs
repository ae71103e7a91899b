//! Threads that run tasks.
//!
//! One thread per core, each with an executor and a [`Reactor`] of its own: a task stays on its thread, so that the
//! event that wakes it and the code that handles it never cross cores. Nothing run here may take longer than 1 ms.

use crate::clock::{Clock, Time};
use crate::reactor::{Reactor, Timer};
use crate::stop::Stop;
use async_executor::Executor;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

/// The threads, and the way to give them work. A clone is another handle to the same.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Vec<Arc<Shard>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Stop,
    clock: Clock,
}

/// One thread's tasks.
struct Shard {
    /// Gone once the thread has ended, and all its tasks with it.
    executor: Mutex<Option<Arc<Executor<'static>>>>,
    reactor: Arc<Reactor>,
    ended: AtomicBool,
    tasks: Arc<AtomicUsize>,
}

/// Where a task runs: what it needs to make sockets and timers.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) stop: Stop,
}

impl Runtime {
    /// Starts `threads` threads; 0 means one per core.
    ///
    /// # Errors
    /// When the kernel has no more threads or descriptors.
    pub fn start(threads: usize, clock: Clock) -> io::Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let shards: io::Result<Vec<_>> = (0..threads).map(|_| Shard::new(clock)).collect();
        let inner = Inner { shards: shards?, threads: Mutex::default(), stop: Stop::new(), clock };
        let runtime = Self { inner: Arc::new(inner) };
        for (number, shard) in runtime.inner.shards.iter().enumerate() {
            let shard = Arc::clone(shard);
            let thread = std::thread::Builder::new().name(format!("loft-{number}"));
            let thread = thread.spawn(move || shard.run())?;
            runtime.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(runtime)
    }

    /// The clock that all tasks and deadlines use.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// The sign that the server stops.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.inner.stop
    }

    /// Runs `future` on the thread with the fewest tasks. If it panics, that is logged, and it ends.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_at(|_| future);
    }

    /// Runs the future that `make` gives for the place it will run at.
    pub(crate) fn spawn_at<F>(&self, make: impl FnOnce(Place) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shards = self.inner.shards.iter();
        let least = shards.min_by_key(|shard| shard.tasks.load(Ordering::Relaxed));
        let shard = least.expect("there is at least one thread");
        let place = Place { reactor: Arc::clone(&shard.reactor), stop: self.inner.stop.clone() };
        let Some(executor) = shard.executor() else { return }; // all is over: the task too
        shard.tasks.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&shard.tasks));
        let future = Guarded { inner: Some(Box::pin(make(place))), _counted: counted };
        executor.spawn(future).detach();
    }

    /// Waits until `deadline`; never early, up to a second late.
    pub fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + Send + use<> {
        let shard = self.inner.shards.first().expect("there is at least one thread");
        sleep_until(Arc::clone(&shard.reactor), deadline)
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.tasks.load(Ordering::Relaxed)).sum()
    }

    /// Stops: gives the sign, waits until all tasks have ended, at most `patience`, then drops what is left and ends the
    /// threads. Returns how many tasks were dropped. To be called from a thread that is none of them.
    pub fn shut_down(&self, patience: Duration) -> usize {
        self.inner.stop.give();
        let deadline = self.inner.clock.now().after(patience);
        while self.tasks() > 0 && self.inner.clock.now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.tasks();
        self.inner.end();
        left
    }
}

impl Inner {
    fn end(&self) {
        for shard in &self.shards {
            shard.ended.store(true, Ordering::SeqCst);
            Waker::from(Arc::clone(shard.reactor.bell())).wake();
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A task may hold the last handle: its thread can't wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        for shard in &self.shards {
            let executor = shard.executor.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(executor);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shard {
    fn new(clock: Clock) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            executor: Mutex::new(Some(Arc::new(Executor::new()))),
            reactor: Reactor::new(clock)?,
            ended: AtomicBool::new(false),
            tasks: Arc::default(),
        }))
    }

    fn executor(&self) -> Option<Arc<Executor<'static>>> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn run(&self) {
        let Some(executor) = self.executor() else { return };
        let waker = Waker::from(Arc::clone(self.reactor.bell()));
        let mut cx = Context::from_waker(&waker);
        let ended = poll_fn(|_| match self.ended.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        let mut tasks = pin!(executor.run(ended));
        let mut events = Vec::new();
        loop {
            self.reactor.answer_bell();
            if tasks.as_mut().poll(&mut cx).is_ready() {
                return;
            }
            self.reactor.wait(&mut events);
        }
    }
}

pub(crate) async fn sleep_until(reactor: Arc<Reactor>, deadline: Time) {
    let mut timer = Timer::new(&reactor);
    poll_fn(|cx| {
        let now = reactor.clock().now();
        timer.poll(cx, now, deadline)
    })
    .await;
}

/// Counts a task as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task whose panic ends it and nothing else.
struct Guarded<F> {
    inner: Option<Pin<Box<F>>>,
    _counted: Counted,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.inner else { return Poll::Ready(()) };
        // What the task shares with others is behind locks, and those notice a panic themselves.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(panic) => tracing::error!(reason = message(&*panic), "a task panicked"),
        }
        let inner = self.inner.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(inner))) {
            tracing::error!(reason = message(&*panic), "a task panicked while it ended");
        }
        Poll::Ready(())
    }
}

pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
