//! `dbox_attachments`.

use crate::pieces::Pieces;
use dbox_format::attachment::{
    Assembly, CutOut, Cutter, Hash, LineEnding, Lines, Options, Piece, Source,
};
use dbox_format::map::Extra;
use std::ops::Range;

/// Input: a number and a list of what was cut out, or (if the first byte is odd) a number and bodies of a message that is
/// cut and put together again.
pub fn dbox_attachments(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let mut pieces = Pieces(rest);
    let number = pieces.number();
    if kind & 1 == 0 {
        list(pieces.next().unwrap_or_default(), number);
    } else {
        cut(number, pieces);
    }
}

fn list(bytes: &[u8], message_len: u64) {
    let mut extra = Extra::new();
    extra.push(Extra::ATTACHMENTS, bytes);
    let Ok(list) = extra.attachments() else { return };
    let mut again = Extra::new();
    again.push_attachments(&list);
    assert!(list.is_empty() || again == extra, "one list has one encoding");
    let Ok(assembly) = Assembly::new(&list, message_len) else { return };
    assert_eq!(Assembly::of_skeleton(&list, assembly.skeleton_len()).as_ref(), Ok(&assembly));
    let mut at = 0;
    for source in assembly.sources(0..u64::MAX).take(100) {
        let range = match source {
            Source::Skeleton(range) => range,
            Source::Attachment { index, content, text } => {
                assert!(content.end <= list[index].len && text.end <= list[index].text_len());
                text
            }
        };
        assert!(range.start < range.end, "each step gives something");
        at += range.end - range.start;
        assert!(at <= message_len);
    }
}

fn cut(number: u64, bodies: Pieces<'_>) {
    let options = Options { least: number >> 32 & 0xff, most: (number >> 40 & 0xf) as usize };
    let piece = (number & 0xfff) as usize + 1;
    let mut message = Vec::new();
    let (mut open, mut contents, mut skeleton) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_piece = |piece: Piece<'_>| match piece {
        Piece::Text(text) => {
            assert!(open.is_empty(), "a content ends before what follows it");
            skeleton.extend_from_slice(text);
        }
        Piece::Content(bytes) => open.extend_from_slice(bytes),
        Piece::Kept(cut) => {
            assert_eq!(cut.offset, skeleton.len() as u64);
            contents.push(std::mem::take(&mut open));
        }
        Piece::Back(lines) => skeleton.extend(in_lines(std::mem::take(&mut open), lines)),
    };
    let mut cutter = Cutter::new(options);
    let mut push = |cutter: &mut Cutter, bytes: &[u8], on_piece: &mut dyn FnMut(Piece<'_>)| {
        bytes.chunks(piece).for_each(|bytes| cutter.push(bytes, on_piece));
        message.extend_from_slice(bytes);
    };
    push(&mut cutter, b"Subject: x\r\n\r\n", &mut on_piece);
    for body in bodies {
        cutter.begin(&mut on_piece);
        push(&mut cutter, &laid_out(body), &mut on_piece);
        cutter.end(&mut on_piece);
        push(&mut cutter, b"--b\r\n", &mut on_piece);
    }
    assert!(open.is_empty(), "no content is left over");

    let list = cutter.list();
    assert!(list.len() <= options.most && list.len() == contents.len());
    for (part, content) in list.iter().zip(&contents) {
        assert_eq!((part.len, part.hash), (content.len() as u64, Hash::of(content)));
        assert!(part.len >= options.least);
    }
    let assembly = Assembly::new(list, message.len() as u64).expect("it was made by cutting");
    assert_eq!(assembly.skeleton_len(), skeleton.len() as u64);
    assert_eq!(rebuild(&assembly, &skeleton, &contents, 0..u64::MAX), message);
    let from = number >> 16 & 0xfff;
    let to = (from + (number >> 44)).min(message.len() as u64);
    let found = rebuild(&assembly, &skeleton, &contents, from..to);
    assert_eq!(found, &message[from.min(to) as usize..to as usize]);
}

/// The bytes as they are behind an even first byte; else layout, what follows, and the content to be laid out.
fn laid_out(body: &[u8]) -> Vec<u8> {
    let Some((&kind, rest)) = body.split_first() else { return Vec::new() };
    let [len, tail, rest @ ..] = rest else { return rest.to_vec() };
    if kind & 1 == 0 {
        return body[1..].to_vec();
    }
    let (tail, content) = rest.split_at(rest.len().min(usize::from(*tail)));
    let ending = if kind & 2 == 0 { LineEnding::CrLf } else { LineEnding::Lf };
    let lines = Lines { len: u32::from(*len), ending };
    [in_lines(content.to_vec(), lines), tail.to_vec()].concat()
}

/// The base64 of a content.
fn in_lines(content: Vec<u8>, lines: Lines) -> Vec<u8> {
    let part = CutOut { len: content.len() as u64, lines, ..CutOut::default() };
    let assembly = Assembly::of_skeleton(&[part], 0).expect("one part is a message");
    rebuild(&assembly, b"", &[content], 0..u64::MAX)
}

fn rebuild(
    assembly: &Assembly,
    skeleton: &[u8],
    contents: &[Vec<u8>],
    part: Range<u64>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for source in assembly.sources(part) {
        match &source {
            Source::Skeleton(range) => {
                out.extend_from_slice(&skeleton[range.start as usize..range.end as usize]);
            }
            Source::Attachment { index, content, .. } => {
                let bytes = &contents[*index][content.start as usize..content.end as usize];
                assembly.encode(&source, bytes, &mut out).expect("what was asked for is given");
            }
        }
    }
    out
}
