//! Gives everything that is logged for a connection the connection's id.

use runtime_smol::{Machine, Output, Peer, Time};
use std::task::Context;
use tracing::Span;

/// A machine that runs inside a span.
pub(super) struct Logged<M> {
    /// `None` only while this is dropped.
    machine: Option<M>,
    span: Span,
}

impl<M> Logged<M> {
    pub(super) fn new(span: Span, make: impl FnOnce() -> M) -> Self {
        let machine = span.in_scope(make);
        Self { machine: Some(machine), span }
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut M) -> T) -> T {
        let Self { machine, span } = self;
        let machine = machine.as_mut().expect("it goes with this value alone");
        span.in_scope(|| call(machine))
    }
}

impl<M> Drop for Logged<M> {
    fn drop(&mut self) {
        let machine = self.machine.take();
        self.span.in_scope(|| drop(machine));
    }
}

impl<M: Machine> Machine for Logged<M> {
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        self.with(|machine| machine.handle_input(now, input))
    }

    fn read_most(&self) -> usize {
        self.machine.as_ref().map_or(usize::MAX, Machine::read_most)
    }

    fn handle_eof(&mut self, now: Time) {
        self.with(|machine| machine.handle_eof(now));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.with(|machine| machine.handle_timeout(now));
    }

    fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        self.with(|machine| machine.handle_upgraded(now, peer));
    }

    fn handle_shutdown(&mut self, now: Time) {
        self.with(|machine| machine.handle_shutdown(now));
    }

    fn handle_eviction(&mut self, now: Time) {
        self.with(|machine| machine.handle_eviction(now));
    }

    fn held(&self) -> usize {
        self.machine.as_ref().map_or(0, Machine::held)
    }

    fn poll_events(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        self.with(|machine| machine.poll_events(now, cx))
    }

    fn poll_output(&mut self, now: Time) -> Output<'_> {
        let Self { machine, span } = self;
        let machine = machine.as_mut().expect("it goes with this value alone");
        let _entered = span.enter();
        machine.poll_output(now)
    }

    fn transmitted(&mut self, n: usize) {
        self.with(|machine| machine.transmitted(n));
    }
}
