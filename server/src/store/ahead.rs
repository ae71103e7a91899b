//! Work of many equal steps that threads which have nothing else to do get ahead with, while who needs the results goes
//! through them in order.
//!
//! Nobody ever waits for those threads: what is not made when its turn comes is made by who needs it. So a machine with
//! nothing to spare does the same work in the same order as without them.

use runtime_smol::Pool;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Steps at the front that are left to who needs them next: a thread that began one would only be waited for, or be late.
const LEAD: usize = 4;
/// Threads that help in one row, at most.
const HELPERS: usize = 2;
/// Bytes that one row makes ahead, at most.
const WINDOW: usize = 256 << 10;
/// Rows there are at a time, of all sessions; the others go without help. A client that reads slowly keeps its own.
const ROWS: usize = 128;

/// The threads that may have nothing else to do.
#[derive(Default)]
pub(crate) struct Aside {
    pool: OnceLock<(Weak<Pool>, usize)>,
    rows: Arc<Rows>,
}

/// All rows there are.
#[derive(Default)]
struct Rows {
    count: AtomicUsize,
    /// Results that were there when they were needed.
    #[cfg(test)]
    taken: AtomicUsize,
}

impl Aside {
    /// From now on threads of `pool` help, where the machine has more than one core.
    pub(crate) fn set(&self, pool: &Arc<Pool>) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A store is given its threads once.
        let _ = self.pool.set((Arc::downgrade(pool), HELPERS.min(cores - 1)));
    }

    /// The same whatever the machine has.
    #[cfg(test)]
    pub(crate) fn set_two(&self, pool: &Arc<Pool>) {
        let _ = self.pool.set((Arc::downgrade(pool), HELPERS));
    }

    /// How many results were there when they were needed.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.rows.taken.load(Ordering::Relaxed)
    }

    /// An empty row; `None` if there is nobody to help, or there are too many.
    pub(crate) fn row<W: Work>(&self) -> Option<Arc<Row<W>>> {
        let (pool, helpers) = self.pool.get().filter(|(_, helpers)| *helpers > 0)?;
        let more = |rows| (rows < ROWS).then_some(rows + 1);
        self.rows.count.try_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Arc::new(Row {
            steps: Mutex::default(),
            pool: pool.clone(),
            most: *helpers,
            rows: self.rows.clone(),
        }))
    }
}

/// What can be made by whoever comes first.
pub(crate) trait Work: Send + Sized + 'static {
    /// What comes of it.
    type Made: Send;

    /// Bytes that this and what is made of it hold, about.
    fn bytes(&self) -> usize;

    /// Makes it; `None` if that fails: who needs it will see why.
    fn make(self) -> Option<Self::Made>;
}

/// Steps in the order in which their results are needed.
pub(crate) struct Row<W: Work> {
    steps: Mutex<Steps<W>>,
    pool: Weak<Pool>,
    /// Threads that help, at most.
    most: usize,
    rows: Arc<Rows>,
}

struct Steps<W: Work> {
    steps: VecDeque<Step<W>>,
    /// How many have been taken from the front.
    gone: usize,
    bytes: usize,
    helpers: usize,
}

struct Step<W: Work> {
    /// What it is asked for by.
    key: u32,
    bytes: usize,
    state: State<W>,
}

enum State<W: Work> {
    Open(W),
    /// Somebody is at it, or could not do it.
    Begun,
    Made(W::Made),
}

impl<W: Work> Default for Steps<W> {
    fn default() -> Self {
        Self { steps: VecDeque::new(), gone: 0, bytes: 0, helpers: 0 }
    }
}

impl<W: Work> Row<W> {
    fn steps(&self) -> MutexGuard<'_, Steps<W>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has so little that more should be added.
    pub(crate) fn is_low(&self) -> bool {
        self.steps().bytes <= WINDOW / 2
    }

    /// Adds a step at the end; `false`, and it is gone, if the row has all that it may.
    pub(crate) fn push(&self, key: u32, work: W) -> bool {
        let mut steps = self.steps();
        let bytes = work.bytes();
        if steps.bytes + bytes > WINDOW {
            return false;
        }
        steps.bytes += bytes;
        steps.steps.push_back(Step { key, bytes, state: State::Open(work) });
        true
    }

    /// Has threads help that have nothing else to do, if there is enough for them.
    pub(crate) fn call(self: &Arc<Self>) {
        let Some(pool) = self.pool.upgrade() else { return };
        loop {
            {
                let mut steps = self.steps();
                let open = steps.open().nth(LEAD * steps.helpers);
                if open.is_none() || steps.helpers == self.most {
                    return;
                }
                steps.helpers += 1;
            }
            let helper = Helper(Arc::downgrade(self));
            if !pool.offer(move || helper.work()) {
                return;
            }
        }
    }

    /// The result of the step `key`, and those before it are over; `None` if it is not made, or there is no such step.
    pub(crate) fn take(&self, key: u32) -> Option<W::Made> {
        let mut steps = self.steps();
        let place = steps.steps.iter().position(|step| step.key == key)?;
        let mut taken = None;
        for _ in 0..=place {
            let step = steps.steps.pop_front()?;
            steps.gone += 1;
            steps.bytes -= step.bytes;
            taken = Some(step.state);
        }
        match taken {
            Some(State::Made(made)) => {
                #[cfg(test)]
                self.rows.taken.fetch_add(1, Ordering::Relaxed);
                Some(made)
            }
            Some(State::Open(_) | State::Begun) | None => None,
        }
    }
}

impl<W: Work> Drop for Row<W> {
    fn drop(&mut self) {
        self.rows.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: Work> Steps<W> {
    /// The places of steps that a helper may begin.
    fn open(&self) -> impl Iterator<Item = usize> {
        let open = self.steps.iter().enumerate().skip(LEAD);
        open.filter(|(_, step)| matches!(step.state, State::Open(_))).map(|(place, _)| place)
    }

    /// The first of them, and its number.
    fn begin(&mut self) -> Option<(usize, W)> {
        let place = self.open().next()?;
        match std::mem::replace(&mut self.steps.get_mut(place)?.state, State::Begun) {
            State::Open(work) => Some((self.gone + place, work)),
            State::Begun | State::Made(_) => None,
        }
    }

    fn put(&mut self, number: usize, made: W::Made) {
        // Who needed it may not have waited.
        let place = number.checked_sub(self.gone);
        if let Some(step) = place.and_then(|place| self.steps.get_mut(place)) {
            step.state = State::Made(made);
        }
    }
}

/// A thread that helps, as long as anybody needs it.
struct Helper<W: Work>(Weak<Row<W>>);

impl<W: Work> Helper<W> {
    fn work(&self) {
        while let Some(row) = self.0.upgrade() {
            let Some((number, work)) = row.steps().begin() else { return };
            drop(row);
            let made = work.make();
            let Some(row) = self.0.upgrade() else { return };
            if let Some(made) = made {
                row.steps().put(number, made);
            }
            // Others wait for this thread: who needs the steps does them, too.
            if row.pool.upgrade().is_none_or(|pool| pool.is_short()) {
                return;
            }
        }
    }
}

impl<W: Work> Drop for Helper<W> {
    fn drop(&mut self) {
        if let Some(row) = self.0.upgrade() {
            row.steps().helpers -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::sync::mpsc;

    /// Gives its number when it is let.
    struct Number(u32, Option<Arc<Mutex<mpsc::Receiver<()>>>>);

    impl Work for Number {
        type Made = u32;

        fn bytes(&self) -> usize {
            1 << 10
        }

        fn make(self) -> Option<u32> {
            if let Some(let_it) = self.1 {
                let_it.lock().ok()?.recv().ok()?;
            }
            (self.0 != 13).then_some(self.0)
        }
    }

    fn aside() -> (Arc<Pool>, Aside) {
        let pool = Arc::new(Pool::start("aside", 2, 8).unwrap());
        let aside = Aside::default();
        aside.set_two(&pool);
        (pool, aside)
    }

    /// All its threads wait for work.
    fn rest(pool: &Pool) {
        while !pool.offer(|| ()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_made_ahead_is_what_would_be_made() {
        let (pool, aside) = aside();
        rest(&pool);
        let row = aside.row().unwrap();
        let mut made = 0;
        for key in 0..10_000 {
            if row.is_low() {
                let mut next = key.max(row.steps().steps.back().map_or(0, |step| step.key + 1));
                while next < 10_000 && row.push(next, Number(next, None)) {
                    next += 1;
                }
                row.call();
            }
            match row.take(key) {
                Some(number) => {
                    assert_eq!(number, key);
                    made += 1;
                }
                None => std::thread::yield_now(),
            }
            assert!(row.steps().bytes <= WINDOW);
        }
        assert!(made > 0, "somebody helped");
        assert!(made < 10_000, "nobody makes number 13");
    }

    #[test]
    fn nobody_waits_for_a_step_that_is_begun_and_its_result_is_nobodys() {
        let (pool, aside) = aside();
        rest(&pool);
        let row = aside.row().unwrap();
        let (let_it, gate) = mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        for key in 0..8 {
            assert!(row.push(key, Number(key, Some(gate.clone()))));
        }
        while !matches!(row.steps().steps[LEAD].state, State::Begun) {
            row.call();
            std::thread::yield_now();
        }
        assert_eq!(row.take(4), None);
        assert_eq!(row.take(4), None, "it is gone");
        let_it.send(()).unwrap();
        drop(let_it);
        while row.steps().helpers > 0 {
            std::thread::yield_now();
        }
        assert_eq!((row.take(5), row.take(6), row.take(7)), (None, None, None));
        assert_eq!(row.steps().bytes, 0);
    }

    #[test]
    fn a_helper_stops_when_its_thread_is_needed() {
        let pool = Arc::new(Pool::start("aside", 1, 8).unwrap());
        let aside = Aside::default();
        aside.set_two(&pool);
        let row = aside.row().unwrap();
        let (let_it, gate) = mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        for key in 0..32 {
            assert!(row.push(key, Number(key, Some(gate.clone()))));
        }
        while !matches!(row.steps().steps[LEAD].state, State::Begun) {
            row.call();
            std::thread::yield_now();
        }
        let (done, other) = mpsc::channel();
        let mut job = Box::pin(pool.run(move || done.send(()).unwrap()));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(job.as_mut().poll(&mut cx).is_pending());
        let_it.send(()).unwrap();
        // Another step would wait for ever.
        other.recv().unwrap();
        while row.steps().helpers > 0 {
            std::thread::yield_now();
        }
        assert_eq!(row.steps().open().count(), 32 - LEAD - 1);
    }

    #[test]
    fn rows_are_few_and_none_is_left() {
        let (pool, aside) = aside();
        let rows: Vec<Arc<Row<Number>>> = std::iter::from_fn(|| aside.row()).collect();
        assert_eq!(rows.len(), ROWS);
        drop(rows);
        assert!(aside.row::<Number>().is_some());
        assert_eq!(aside.rows.count.load(Ordering::Relaxed), 0);
        drop(pool);
        let row = aside.row().unwrap();
        assert!((0..9).all(|key| row.push(key, Number(key, None))));
        row.call();
        assert_eq!(row.take(8), None, "there is nobody any more");
    }

    #[test]
    fn a_row_has_a_most() {
        let (_pool, aside) = aside();
        let row = aside.row().unwrap();
        let most = (0..).find(|key| !row.push(*key, Number(*key, None))).unwrap();
        assert_eq!(most as usize, WINDOW >> 10);
        assert!(!row.is_low());
        assert_eq!(row.take(most / 2), None);
        assert!(row.is_low());
    }
}
