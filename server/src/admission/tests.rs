//! Doors with bounds small enough to be seen at a glance.

use super::*;
use std::task::Waker;

const BOUNDS: Connections =
    Connections { connections: 6, before_login: 4, per_address: 2, per_network: 3 };

fn door(bounds: Connections, trusted: &[&str]) -> Admission {
    let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
    Admission::new(Service::Imap, bounds, Some(60_000), trusted, OutputBudget::new(1000))
}

fn peer(ip: &str) -> Peer {
    Peer { addr: Some((ip.parse::<IpAddr>().unwrap(), 1).into()), ..Peer::default() }
}

fn enter(door: &Admission, ip: &str) -> Result<Arc<Visitor>, &'static [u8]> {
    door.enter(&peer(ip), Time(0))
}

fn is_evicted(visitor: &Visitor) -> bool {
    visitor.poll_evicted(&Context::from_waker(Waker::noop()))
}

const FULL: Option<&[u8]> = Some(b"* BYE [UNAVAILABLE] Too many connections from your address\r\n");

#[test]
fn row_26_an_address_and_a_network_have_their_shares() {
    let door = door(Connections { before_login: 100, connections: 100, ..BOUNDS }, &[]);
    let first = enter(&door, "192.0.2.1").unwrap();
    let second = enter(&door, "192.0.2.1").unwrap();
    assert_eq!(enter(&door, "192.0.2.1").err(), FULL);
    let _other = enter(&door, "192.0.2.2").unwrap();
    // Logging in frees no place: it is the address that counts.
    first.logged_in();
    assert_eq!(enter(&door, "192.0.2.1").err(), FULL);
    drop(second);
    assert_eq!(enter(&door, "192.0.2.1").err(), None);

    // A /64 is one address, a /48 one network.
    let _all: Vec<_> =
        ["2001:db8:1::1", "2001:db8:1::2"].map(|ip| enter(&door, ip).unwrap()).into();
    assert_eq!(enter(&door, "2001:db8:1::3").err(), FULL);
    let _third = enter(&door, "2001:db8:1:1::1").unwrap();
    assert_eq!(enter(&door, "2001:db8:1:2::1").err(), FULL);
    assert_eq!(enter(&door, "2001:db8:2::1").err(), None);
}

#[test]
fn row_26_the_oldest_stranger_makes_room_and_who_logged_in_never() {
    let door = door(Connections { per_address: 100, per_network: 100, ..BOUNDS }, &[]);
    let mut all: Vec<_> = (0..4).map(|_| enter(&door, "192.0.2.1").unwrap()).collect();
    all[0].logged_in();
    all.push(enter(&door, "192.0.2.1").unwrap());
    assert!(all.iter().all(|visitor| !is_evicted(visitor)), "four have not logged in");
    all.push(enter(&door, "192.0.2.1").unwrap());
    let evicted: Vec<bool> = all.iter().map(|visitor| is_evicted(visitor)).collect();
    assert_eq!(evicted, [false, true, false, false, false, false]);
    // Six in all, one of them on its way out: the seventh has its place.
    all[2].logged_in();
    all.push(enter(&door, "192.0.2.1").unwrap());
    assert!(!is_evicted(&all[3]));
    // Now there are six that stay.
    all.push(enter(&door, "192.0.2.1").unwrap());
    assert!(is_evicted(&all[3]) && !is_evicted(&all[0]) && !is_evicted(&all[2]));
    drop(all);
    let state = door.shared.state();
    let left = (state.staying, state.guests.len(), state.leaving.len(), state.by_address.len());
    assert_eq!(left, (0, 0, 0, 0));
}

#[test]
fn when_all_have_logged_in_there_is_no_more_room() {
    let bounds = Connections { per_address: 100, before_login: 100, ..BOUNDS };
    let door = door(bounds, &[]);
    let all: Vec<_> = (0..6).map(|_| enter(&door, "192.0.2.1").unwrap()).collect();
    all.iter().for_each(|visitor| visitor.logged_in());
    let said = enter(&door, "192.0.2.2").err();
    assert_eq!(said, Some(&b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n"[..]));
    assert_eq!(door.silent().enter(&peer("192.0.2.2"), Time(0)).err(), Some(&b""[..]));
}

#[test]
fn row_27_trusted_networks_have_no_share_and_go_last() {
    let door = door(BOUNDS, &["127.0.0.0/8", "2001:db8:7::/48"]);
    let trusted = ["127.0.0.1", "127.0.0.1", "2001:db8:7::1"].map(|ip| enter(&door, ip).unwrap());
    let local = door.enter(&Peer::default(), Time(0)).unwrap();
    let one = enter(&door, "192.0.2.1").unwrap();
    assert!(is_evicted(&trusted[0]), "there was nobody else");
    let _two = enter(&door, "192.0.2.2").unwrap();
    assert!(is_evicted(&one) && !is_evicted(&trusted[1]) && !is_evicted(&local));
}

#[test]
fn row_38_what_is_kept_for_addresses_goes_with_their_connections() {
    let door = door(Connections { connections: 1000, before_login: 50, ..BOUNDS }, &[]);
    let mut here = std::collections::VecDeque::new();
    for n in 0..10_000_u32 {
        let [.., a, b] = n.to_be_bytes();
        here.push_back(enter(&door, &format!("10.9.{a}.{b}")).unwrap());
        // Those that are told to go do.
        while here.front().is_some_and(|visitor| is_evicted(visitor)) {
            here.pop_front();
        }
        assert!(here.len() <= 50 && door.shared.state().by_address.len() <= 50);
    }
}

#[test]
fn the_log_is_not_filled_by_those_who_are_turned_away() {
    let door = door(Connections { per_address: 1, ..BOUNDS }, &[]);
    let _first = enter(&door, "192.0.2.1").unwrap();
    for ms in 0..100 {
        assert!(door.enter(&peer("192.0.2.1"), Time(ms)).is_err());
    }
    // The first was said at once; the others wait for the next time.
    assert_eq!(door.shared.state().said.refused, 99);
    assert!(door.enter(&peer("192.0.2.1"), Time(SAID_EVERY)).is_err());
    assert_eq!(door.shared.state().said.refused, 0);
}

#[test]
fn addresses_of_one_ipv6_network_are_one() {
    let same = ["2001:db8::1", "2001:db8::ffff:1"].map(|ip| one_address(ip.parse().unwrap()));
    assert_eq!(same[0], same[1]);
    assert_ne!(one_address("2001:db8:0:1::1".parse().unwrap()), same[0]);
    assert_eq!(one_address("192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
}
