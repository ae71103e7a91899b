//! One suite for both file systems.

use runtime_smol::fs::{
    Entry, Fs, LockError, Meta, Open, RealFs, create_dirs_synced, create_linked, is_temporary,
    read_all, read_exact_at, replace, replace_verified,
};
use runtime_smol::sim::SimFs;
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::path::Path;

/// Runs a test on both.
fn on_both(test: fn(&dyn Fs, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    test(&RealFs, dir.path());
    let sim = SimFs::new();
    sim.create_dir_all(Path::new("/data")).unwrap();
    test(&sim, Path::new("/data"));
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("should fail"),
        Err(error) => error.kind(),
    }
}

fn names_in(fs: &dyn Fs, dir: &Path) -> Vec<String> {
    let entries = fs.read_dir(dir).unwrap().into_iter();
    entries.map(|entry| entry.name.into_string().unwrap()).collect()
}

#[test]
fn the_modes_of_opening() {
    on_both(|fs, dir| {
        let path = dir.join("a");
        assert_eq!(kind(fs.open(&path, Open::Read)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&path, Open::Append)), io::ErrorKind::NotFound);
        fs.open(&path, Open::Create).unwrap();
        assert_eq!(kind(fs.open(&path, Open::Create)), io::ErrorKind::AlreadyExists);
        for how in [Open::Append, Open::AppendOrCreate] {
            let file = fs.open(&path, how).unwrap();
            assert_eq!(file.append(&[IoSlice::new(b"x")]).unwrap(), 1);
            assert!(file.write_at(&[IoSlice::new(b"y")], 0).is_err());
        }
        let file = fs.open(&path, Open::Read).unwrap();
        assert!(file.append(&[IoSlice::new(b"x")]).is_err());
        assert!(file.write_at(&[IoSlice::new(b"x")], 0).is_err());
        let file = fs.open(&path, Open::Write).unwrap();
        assert!(file.append(&[IoSlice::new(b"x")]).is_err());
        file.write_at(&[IoSlice::new(b"z")], 1).unwrap();
        assert_eq!(read_all(fs, &path).unwrap(), b"xz");
        assert_eq!(kind(fs.open(&dir.join("no/such"), Open::Create)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&path.join("b"), Open::Create)), io::ErrorKind::NotADirectory);
    });
}

#[test]
fn appending_goes_to_the_end_and_says_where_it_was() {
    on_both(|fs, dir| {
        let path = dir.join("log");
        let one = fs.open(&path, Open::Create).unwrap();
        let two = fs.open(&path, Open::Append).unwrap();
        assert_eq!(one.position().unwrap(), 0);
        assert_eq!(
            one.append(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")]).unwrap(),
            3
        );
        assert_eq!(two.append(&[IoSlice::new(b"defg")]).unwrap(), 4);
        assert_eq!(two.position().unwrap(), 7);
        assert_eq!(one.position().unwrap(), 3);
        let letters: Vec<[u8; 1]> = (0..3000u32).map(|_| [b'p']).collect();
        let parts: Vec<IoSlice<'_>> = letters.iter().map(|part| IoSlice::new(part)).collect();
        assert_eq!(one.append(&parts).unwrap(), 3000, "more parts than writev takes");
        assert_eq!(one.position().unwrap(), 3007);
        assert_eq!(one.len().unwrap(), 3007);
        assert!(!one.is_empty().unwrap());
        let mut buf = [0; 4];
        read_exact_at(&*one, &mut buf, 2).unwrap();
        assert_eq!(&buf, b"cdef");
        assert_eq!(one.position().unwrap(), 3007, "reading moves nothing");
    });
}

#[test]
fn reading_ends_at_the_end() {
    on_both(|fs, dir| {
        let file = fs.open(&dir.join("a"), Open::Create).unwrap();
        file.append(&[IoSlice::new(&[7; 5000])]).unwrap();
        let mut buf = [0; 10_000];
        assert_eq!(file.read_at(&mut buf, 0).unwrap(), 5000);
        assert_eq!(file.read_at(&mut buf, 4990).unwrap(), 10);
        assert_eq!(file.read_at(&mut buf, 5000).unwrap(), 0);
        assert_eq!(file.read_at(&mut buf, 1 << 40).unwrap(), 0);
        assert_eq!(file.read_now(&mut buf[..100], 10).unwrap(), 100, "just written: in memory");
        let end = read_exact_at(&*file, &mut buf, 0);
        assert_eq!(kind(end), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn writing_at_a_place_grows_the_file_over_zeros() {
    on_both(|fs, dir| {
        let path = dir.join("journal");
        let file = fs.open(&path, Open::Write).unwrap();
        let parts = [b"ab".as_slice(), b"", b"cd"].map(IoSlice::new);
        file.write_at(&parts, 4).unwrap();
        assert_eq!(read_all(fs, &path).unwrap(), b"\0\0\0\0abcd");
        file.write_at(&[IoSlice::new(b"XY")], 5).unwrap();
        file.write_at(&[], 100).unwrap();
        file.write_at(&[IoSlice::new(b"")], 100).unwrap();
        assert_eq!(read_all(fs, &path).unwrap(), b"\0\0\0\0aXYd");
        file.sync_data().unwrap();
        assert_eq!(file.position().unwrap(), 0);
    });
}

#[test]
fn links_and_renames() {
    on_both(|fs, dir| {
        let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
        replace(fs, &a, b"1").unwrap();
        replace(fs, &b, b"2").unwrap();
        assert_eq!(kind(fs.link(&a, &b)), io::ErrorKind::AlreadyExists);
        fs.link(&a, &c).unwrap();
        fs.rename(&b, &a).unwrap();
        assert_eq!(read_all(fs, &a).unwrap(), b"2");
        assert_eq!(read_all(fs, &c).unwrap(), b"1");
        assert_eq!(kind(fs.rename(&b, &a)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.link(&b, &dir.join("d"))), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.unlink(&b)), io::ErrorKind::NotFound);
        let open = fs.open(&c, Open::Read).unwrap();
        fs.unlink(&c).unwrap();
        let mut buf = [0];
        assert_eq!(open.read_at(&mut buf, 0).unwrap(), 1, "open files outlive their names");
        assert_eq!(names_in(fs, dir), ["a"]);
        fs.link(&a, &b).unwrap();
        fs.rename(&a, &b).unwrap();
        assert_eq!(names_in(fs, dir), ["a", "b"], "two names of one file");
        fs.sync_dir(dir).unwrap();
        fs.sync_all(dir).unwrap();
    });
}

#[test]
fn links_are_counted() {
    on_both(|fs, dir| {
        let meta = |name: &str| fs.metadata(&dir.join(name)).unwrap().unwrap();
        replace(fs, &dir.join("a"), b"1").unwrap();
        replace(fs, &dir.join("other"), b"1").unwrap();
        create_dirs_synced(fs, &dir.join("x")).unwrap();
        fs.link(&dir.join("a"), &dir.join("x/b")).unwrap();
        assert_eq!(meta("a"), meta("x/b"));
        assert_eq!((meta("a").links, meta("other").links), (2, 1));
        assert_ne!(meta("a").inode, meta("other").inode);
        // One name takes the place of another.
        fs.link(&dir.join("a"), &dir.join("c")).unwrap();
        fs.rename(&dir.join("c"), &dir.join("other")).unwrap();
        assert_eq!((meta("other").inode, meta("other").links), (meta("a").inode, 3));
        fs.unlink(&dir.join("a")).unwrap();
        fs.unlink(&dir.join("other")).unwrap();
        assert_eq!(meta("x/b").links, 1);
        assert_eq!(read_all(fs, &dir.join("x/b")).unwrap(), b"1");
    });
}

#[test]
fn a_file_takes_only_so_many_links() {
    let (sim, path) = (SimFs::new(), Path::new("/a"));
    replace(&sim, path, b"1").unwrap();
    sim.set_most_links(2);
    sim.link(path, Path::new("/b")).unwrap();
    assert_eq!(kind(sim.link(path, Path::new("/c"))), io::ErrorKind::TooManyLinks);
    sim.unlink(Path::new("/b")).unwrap();
    sim.link(path, Path::new("/c")).unwrap();
}

#[test]
fn directories() {
    on_both(|fs, dir| {
        let deep = dir.join("x/y/z");
        create_dirs_synced(fs, &deep).unwrap();
        create_dirs_synced(fs, &deep).unwrap();
        fs.create_dir_all(&deep).unwrap();
        replace(fs, &dir.join("x/file"), b"123").unwrap();
        let x = fs.read_dir(&dir.join("x")).unwrap();
        let entry = |name: &str, is_dir| Entry { name: name.into(), is_dir };
        assert_eq!(x, [entry("file", false), entry("y", true)]);
        let meta = |name: &str| fs.metadata(&dir.join(name)).unwrap();
        let file = meta("x/file").unwrap();
        assert_eq!(file, Meta { len: 3, is_dir: false, links: 1, inode: file.inode });
        assert!(meta("x").unwrap().is_dir);
        assert_eq!(meta("nothing"), None);
        let kinds = [
            kind(fs.remove_dir(&dir.join("x"))),
            kind(fs.remove_dir(&dir.join("nothing"))),
            kind(fs.remove_dir(&dir.join("x/file"))),
            kind(fs.unlink(&deep)),
            kind(fs.create_dir_all(&dir.join("x/file"))),
            kind(fs.read_dir(&dir.join("nothing"))),
            kind(fs.read_dir(&dir.join("x/file"))),
            kind(fs.sync_dir(&dir.join("nothing"))),
            kind(fs.sync_dir(&dir.join("x/file"))),
            kind(fs.open(&deep, Open::Append)),
            kind(fs.rename(&dir.join("x"), &deep.join("loop"))),
            kind(fs.rename(&dir.join("x/file"), &deep)),
            kind(fs.rename(&deep, &dir.join("x/file"))),
        ];
        use io::ErrorKind::{
            AlreadyExists, DirectoryNotEmpty, InvalidInput, IsADirectory, NotADirectory, NotFound,
        };
        assert_eq!(
            kinds,
            [
                DirectoryNotEmpty,
                NotFound,
                NotADirectory,
                IsADirectory,
                AlreadyExists,
                NotFound,
                NotADirectory,
                NotFound,
                NotADirectory,
                IsADirectory,
                InvalidInput,
                IsADirectory,
                NotADirectory,
            ]
        );
        fs.rename(&dir.join("x/y"), &dir.join("moved")).unwrap();
        assert!(meta("moved/z").unwrap().is_dir);
        fs.remove_dir(&dir.join("moved/z")).unwrap();
        fs.remove_dir(&dir.join("moved")).unwrap();
        assert_eq!(meta("moved"), None);
    });
}

#[test]
fn replacing_leaves_one_file() {
    on_both(|fs, dir| {
        let path = dir.join("index");
        replace(fs, &path, &[1; 100_000]).unwrap();
        replace_verified(fs, &path, &[2; 5000]).unwrap();
        assert_eq!(read_all(fs, &path).unwrap(), [2; 5000]);
        replace(fs, &path, b"").unwrap();
        assert_eq!(read_all(fs, &path).unwrap(), b"");
        // What a crash left behind is in nobody's way.
        fs.open(&dir.join("index.tmp-0"), Open::Create).unwrap();
        replace(fs, &path, b"new").unwrap();
        assert_eq!(names_in(fs, dir), ["index", "index.tmp-0"]);
        fs.create_dir_all(&dir.join("dir")).unwrap();
        assert!(replace(fs, &dir.join("dir"), b"").is_err());
        assert_eq!(names_in(fs, dir), ["dir", "index", "index.tmp-0"], "nothing left behind");
    });
}

#[test]
fn of_many_who_create_a_file_one_wins() {
    on_both(|fs, dir| {
        let path = dir.join("log.2");
        let wins: usize = std::thread::scope(|scope| {
            let path = &path;
            let create = |n: u8| scope.spawn(move || create_linked(fs, path, &[n; 3]));
            let threads: Vec<_> = (0..8).map(create).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap().is_ok())).sum()
        });
        assert_eq!(wins, 1);
        let bytes = read_all(fs, &path).unwrap();
        assert_eq!(bytes, [bytes[0]; 3]);
        assert_eq!(kind(create_linked(fs, &path, b"")), io::ErrorKind::AlreadyExists);
        assert_eq!(names_in(fs, dir), ["log.2"]);
    });
}

#[test]
fn temporary_names_are_known() {
    for (name, temporary) in [
        ("index.tmp-0", true),
        ("a.tmp-1023", true),
        ("index", false),
        ("a.tmp-", false),
        ("a.tmp-x1", false),
    ] {
        assert_eq!(is_temporary(OsStr::new(name)), temporary, "{name}");
    }
}

#[test]
fn the_lock_is_for_one() {
    on_both(|fs, dir| {
        let path = dir.join("lock");
        let lock = fs.lock(&path).unwrap();
        assert!(matches!(fs.lock(&path), Err(LockError::Held { pid: Some(_), .. })));
        drop(lock);
        let _again = fs.lock(&path).unwrap();
        assert!(matches!(fs.lock(&dir.join("no/lock")), Err(LockError::Io { .. })));
    });
}

#[test]
fn a_real_lock_names_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    std::fs::write(&path, "4294967295 and more left by someone else").unwrap();
    let _lock = RealFs.lock(&path).unwrap();
    let held = RealFs.lock(&path).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(held, LockError::Held { pid: Some(found), .. } if found == pid));
    assert_eq!(held.to_string(), format!("{} is held by process {pid}", path.display()));
}

#[test]
fn real_files_are_their_owners_alone_and_no_links_are_followed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    RealFs.create_dir_all(&dir.path().join("d")).unwrap();
    replace(&RealFs, &dir.path().join("d/f"), b"").unwrap();
    let mode =
        |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o077;
    assert_eq!((mode("d"), mode("d/f")), (0, 0));
    std::os::unix::fs::symlink("f", dir.path().join("d/link")).unwrap();
    assert!(RealFs.open(&dir.path().join("d/link"), Open::Append).is_err());
}

#[test]
fn threads_append_whole_transactions() {
    on_both(|fs, dir| {
        let path = dir.join("log");
        fs.open(&path, Open::Create).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8u8 {
                let path = &path;
                scope.spawn(move || {
                    let file = fs.open(path, Open::Append).unwrap();
                    for _ in 0..200 {
                        let text = [n; 100];
                        let parts = [IoSlice::new(&text[..40]), IoSlice::new(&text[40..])];
                        assert_eq!(file.append(&parts).unwrap(), 100);
                        let end = file.position().unwrap();
                        let mut back = [0xff; 100];
                        read_exact_at(&*file, &mut back, end - 100).unwrap();
                        assert_eq!(back, text, "a writer finds its own bytes");
                    }
                });
            }
        });
        let all = read_all(fs, &path).unwrap();
        assert_eq!(all.len(), 8 * 200 * 100);
        assert!(all.chunks(100).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])));
    });
}

#[test]
fn free_space_is_known() {
    on_both(|fs, dir| {
        assert!(fs.free_space(dir).unwrap() > 0);
        assert_eq!(kind(fs.free_space(&dir.join("nothing"))), io::ErrorKind::NotFound);
    });
}
