//! Tries by the clock.

use super::*;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

struct World {
    delays: Delays,
    now: Time,
}

impl World {
    fn new() -> Self {
        let trusted = vec!["198.51.100.0/24".parse().unwrap()];
        Self { delays: Delays::new(LoginDelays::default(), trusted), now: Time(1_000_000) }
    }

    /// How long a try has to wait.
    fn delay(&self, ip: &str, user: &str) -> u64 {
        match self.delays.turn(&peer(ip), user.as_bytes(), self.now) {
            Turn::Now => 0,
            Turn::Later(wait) => wait.until.0 - self.now.0,
            Turn::Busy => panic!("busy"),
        }
    }

    fn settle(&self, ip: &str, user: &str, success: bool) {
        self.delays.settle(&peer(ip), user.as_bytes(), success, self.now);
    }

    fn fail(&self, ip: &str, user: &str, times: u32) {
        for _ in 0..times {
            self.settle(ip, user, false);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = Time(self.now.0 + ms);
    }
}

fn peer(ip: &str) -> Peer {
    Peer { addr: Some(format!("{ip}:1").parse().unwrap()), ..Peer::default() }
}

#[test]
fn row_27_delays_grow_to_a_bound_and_are_forgotten() {
    let mut world = World::new();
    let mut delays = Vec::new();
    for _ in 0..12 {
        world.fail("192.0.2.1", "alice", 1);
        delays.push(world.delay("192.0.2.1", "someone else") / SECOND);
    }
    assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 15, 15, 15, 15, 15]);
    assert_eq!(world.delay("192.0.2.2", "someone else"), 0, "another address");
    let mut delays = Vec::new();
    for _ in 0..10 {
        world.pass(5 * MINUTE);
        delays.push(world.delay("192.0.2.1", "someone else") / SECOND);
    }
    assert_eq!(delays, [8, 4, 2, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn row_27_an_account_is_slow_for_strangers_and_open_for_who_is_at_home() {
    let mut world = World::new();
    world.settle("192.0.2.1", "alice", true);
    for n in 0..50 {
        world.fail(&format!("203.0.113.{n}"), "Alice", 1);
    }
    assert_eq!(world.delay("203.0.113.200", "ALICE"), 15 * SECOND, "a fresh address guesses on");
    assert_eq!(world.delay("203.0.113.200", "bob"), 0);
    assert_eq!(world.delay("192.0.2.1", "alice"), 0, "the owner at home");
    assert_eq!(world.delay("192.0.2.9", "alice"), 15 * SECOND, "elsewhere, no longer than that");
    // A neighbour behind the same address guesses another's password.
    world.fail("192.0.2.1", "bob", 50);
    assert_eq!(world.delay("192.0.2.1", "alice"), 0);
    assert_eq!(world.delay("192.0.2.1", "carol"), 15 * SECOND);
    // And then hers: a few times, from there.
    world.fail("192.0.2.1", "alice", 4);
    assert_eq!(world.delay("192.0.2.1", "alice"), 15 * SECOND);
    world.settle("192.0.2.1", "alice", true);
    assert_eq!(world.delay("192.0.2.1", "alice"), 0);
    world.pass(AT_HOME);
    world.fail("203.0.113.1", "alice", 9);
    assert_eq!(world.delay("192.0.2.1", "alice"), 15 * SECOND, "that was long ago");
}

#[test]
fn a_log_in_of_ones_own_does_not_buy_more_guesses() {
    let world = World::new();
    world.settle("203.0.113.1", "mallory", true);
    for _ in 0..10 {
        world.fail("203.0.113.1", "alice", 1);
        world.settle("203.0.113.1", "mallory", true);
    }
    assert_eq!(world.delay("203.0.113.1", "alice"), 15 * SECOND);
}

#[test]
fn row_27_trusted_networks_and_sockets_neither_wait_nor_count() {
    let world = World::new();
    world.fail("198.51.100.7", "alice", 50);
    assert_eq!(world.delay("198.51.100.7", "alice"), 0);
    assert_eq!(world.delay("192.0.2.1", "alice"), 0);
    let local = Peer::default();
    for _ in 0..50 {
        world.delays.settle(&local, b"alice", false, world.now);
    }
    assert!(matches!(world.delays.turn(&local, b"alice", world.now), Turn::Now));
    let off = LoginDelays { first_delay: 0, ..LoginDelays::default() };
    let off = World { delays: Delays::new(off, Vec::new()), ..World::new() };
    off.fail("192.0.2.1", "alice", 50);
    assert_eq!(off.delay("192.0.2.1", "alice"), 0);
}

#[test]
fn all_of_a_64_are_one_and_unknown_users_are_as_slow_as_known_ones() {
    let world = World::new();
    for n in 0..9 {
        world.fail(&format!("[2001:db8::{n}]"), "nobody \r\n\x1b\u{fffd}", 1);
    }
    assert_eq!(world.delay("[2001:db8::ffff]", "alice"), 15 * SECOND);
    assert_eq!(world.delay("[2001:db8:0:1::1]", "alice"), 0);
    assert_eq!(world.delay("192.0.2.1", "nobody \r\n\x1b\u{fffd}"), 15 * SECOND);
}

#[test]
fn few_of_an_address_wait_at_once() {
    let world = World::new();
    world.fail("203.0.113.1", "alice", 9);
    let turn = |ip: &str| world.delays.turn(&peer(ip), b"bob", world.now);
    let mut waits: Vec<Turn> = (0..8).map(|_| turn("203.0.113.1")).collect();
    assert!(waits.iter().all(|turn| matches!(turn, Turn::Later(_))));
    assert!(matches!(turn("203.0.113.1"), Turn::Busy));
    assert!(matches!(turn("192.0.2.1"), Turn::Now));
    waits.pop();
    waits.push(turn("203.0.113.1"));
    assert!(matches!(waits.last(), Some(Turn::Later(_))));
    drop(waits);
    assert!(world.delays.shared.state().waiting.is_empty());
}

#[test]
fn row_38_attackers_with_many_addresses_and_names_fill_no_memory() {
    let world = World::new();
    let n = u32::try_from(2 * KEPT).unwrap();
    for n in 0..n {
        let [_, b, c, d] = n.to_be_bytes();
        let (ip, user) = (format!("10.{b}.{c}.{d}"), format!("user{n}"));
        world.settle(&ip, &user, n % 2 == 0);
    }
    world.fail("192.0.2.1", "alice", 4);
    let state = world.delays.shared.state();
    for (young, old) in [
        (state.addresses.young.len(), state.addresses.old.len()),
        (state.accounts.young.len(), state.accounts.old.len()),
        (state.homes.young.len(), state.homes.old.len()),
    ] {
        assert!(young + old <= KEPT && old > 0, "{young} and {old}");
    }
    drop(state);
    assert_eq!(world.delay("192.0.2.1", "bob"), SECOND, "those that are at it stay");
}
