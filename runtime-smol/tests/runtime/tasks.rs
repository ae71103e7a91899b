//! Tasks, timers and the pool.

use crate::echo::until;
use runtime_smol::{Clock, Pool, Request, Runtime, on_signals, raise_open_files};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

#[test]
fn sleeping_is_never_early() {
    let clock = Clock::new();
    let runtime = Runtime::start(2, clock).unwrap();
    let (done, wait) = mpsc::channel();
    for millis in [0, 1, 150, 300] {
        let (done, deadline) = (done.clone(), clock.now().after(Duration::from_millis(millis)));
        let sleep = runtime.sleep_until(deadline);
        runtime.spawn(async move {
            sleep.await;
            done.send(clock.now() >= deadline).unwrap();
        });
    }
    for _ in 0..4 {
        assert!(wait.recv_timeout(Duration::from_secs(20)).unwrap());
    }
}

#[test]
fn sleeping_works_outside_of_the_runtime_too() {
    let clock = Clock::new();
    let runtime = Runtime::start(1, clock).unwrap();
    std::thread::sleep(Duration::from_millis(50)); // its thread sleeps without a timeout
    let deadline = clock.now().after(Duration::from_millis(100));
    smol::block_on(runtime.sleep_until(deadline));
    assert!(clock.now() >= deadline);
}

#[test]
fn signals_are_requests() {
    use rustix::process::{Signal, getpid, kill_process};
    let (done, wait) = mpsc::channel();
    on_signals(move |request| done.send(request).unwrap()).unwrap();
    for (signal, request) in [
        (Signal::HUP, Request::Reload),
        (Signal::TERM, Request::Stop),
        (Signal::INT, Request::Stop),
    ] {
        kill_process(getpid(), signal).unwrap();
        assert_eq!(wait.recv_timeout(Duration::from_secs(20)).unwrap(), request);
    }
}

#[test]
fn a_panicking_task_leaves_its_thread_alone() {
    let runtime = Runtime::start(1, Clock::new()).unwrap();
    let (done, wait) = mpsc::channel();
    runtime.spawn(async { panic!("on purpose") });
    runtime.spawn(async move { done.send(()).unwrap() });
    wait.recv_timeout(Duration::from_secs(20)).unwrap();
    until("both end", || runtime.tasks() == 0);
}

#[test]
fn tasks_wake_each_other_across_threads() {
    let runtime = Runtime::start(3, Clock::new()).unwrap();
    let (done, wait) = mpsc::channel();
    for _ in 0..6 {
        let (ping, pinged) = smol::channel::bounded::<u32>(1);
        let (pong, ponged) = smol::channel::bounded::<u32>(1);
        runtime.spawn(async move {
            while let Ok(n) = pinged.recv().await {
                let _ = pong.send(n + 1).await;
            }
        });
        let done = done.clone();
        runtime.spawn(async move {
            let mut n = 0;
            while n < 2000 {
                ping.send(n).await.unwrap();
                n = ponged.recv().await.unwrap();
            }
            done.send(n).unwrap();
        });
    }
    for _ in 0..6 {
        assert_eq!(wait.recv_timeout(Duration::from_secs(60)).unwrap(), 2000);
    }
}

#[test]
fn the_pool_answers_more_than_its_queue_holds() {
    let runtime = Runtime::start(2, Clock::new()).unwrap();
    let pool = Arc::new(Pool::start("files", 2, 4).unwrap());
    let (done, wait) = mpsc::channel();
    for n in 0..200u64 {
        let (pool, done) = (Arc::clone(&pool), done.clone());
        runtime.spawn(async move {
            done.send(pool.run(move || n * 2).await).unwrap();
        });
    }
    let mut answers: Vec<u64> =
        (0..200).map(|_| wait.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, (0..200).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn a_job_that_panics_passes_it_on_and_its_thread_works_on() {
    let pool = Pool::start("files", 1, 4).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        smol::block_on(pool.run(|| panic!("on purpose")))
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(smol::block_on(pool.run(|| 7)), 7);
}

#[test]
fn queued_jobs_are_done_even_if_nobody_waits() {
    let pool = Pool::start("files", 1, 100).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let count = Arc::clone(&count);
        let job = pool.run(move || {
            std::thread::sleep(Duration::from_millis(1));
            count.fetch_add(1, Ordering::SeqCst);
        });
        let mut job = Box::pin(job);
        let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
        let _ = job.as_mut().poll(cx); // queues it, and nobody asks again
    }
    drop(pool);
    assert_eq!(count.load(Ordering::SeqCst), 50);
}

#[test]
fn the_limit_of_open_files_is_raised() {
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    assert_eq!(raise_open_files().unwrap(), hard.unwrap_or(u64::MAX));
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    assert_eq!(now, hard);
}

#[test]
fn a_pool_takes_an_offer_only_for_a_thread_that_has_nothing_else_to_do() {
    let pool = Pool::start("offered", 1, 4).unwrap();
    let (let_it, gate) = mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let taken = || {
        let gate = gate.clone();
        pool.offer(move || gate.lock().unwrap().recv().unwrap())
    };
    until("the thread is there", taken);
    // It is busy from the moment of the offer on.
    assert!(!taken() && !pool.is_short());
    let second = pool.run(|| 2);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| smol::block_on(second));
        until("somebody waits for it", || pool.is_short());
        let_it.send(()).unwrap();
        assert_eq!(waiting.join().unwrap(), 2);
    });
    // What panics leaves the thread alone.
    until("it is idle", || pool.offer(|| panic!("on purpose")));
    assert_eq!(smol::block_on(pool.run(|| 3)), 3);
}
