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
    let (mut message, mut parts) = (b"Subject: x\r\n\r\n".to_vec(), Vec::new());
    for body in bodies {
        let start = message.len() as u64;
        message.extend_from_slice(&laid_out(body));
        parts.push(start..message.len() as u64);
        message.extend_from_slice(b"--b\r\n");
    }
    let options = Options { least: number >> 32 & 0xff, most: (number >> 40 & 0xf) as usize };
    let piece = (number & 0xfff) as usize + 1;
    let mut contents: Vec<Vec<u8>> = vec![Vec::new()];
    let mut on_piece = |piece: Piece<'_>| {
        let last = contents.last_mut().expect("one is being made");
        match piece {
            Piece::Content(_, bytes) => last.extend_from_slice(bytes),
            Piece::Kept(_) => contents.push(Vec::new()),
            Piece::Dropped(_) => last.clear(),
        }
    };
    let mut cutter = Cutter::new(&parts, options).expect("the parts ascend");
    message.chunks(piece).for_each(|bytes| cutter.push(bytes, &mut on_piece));
    let plan = cutter.finish(&mut on_piece);

    let list = plan.list();
    assert!(list.len() <= options.most && list.len() + 1 == contents.len());
    for (part, content) in list.iter().zip(&contents) {
        assert_eq!((part.len, part.hash), (content.len() as u64, Hash::of(content)));
        assert!(part.len >= options.least);
    }
    let slice = |range: Range<u64>| &message[range.start as usize..range.end as usize];
    let skeleton: Vec<u8> = plan.skeleton().flat_map(|range| slice(range).to_vec()).collect();
    let assembly = Assembly::new(&list, message.len() as u64).expect("it was made by cutting");
    assert_eq!(assembly.skeleton_len(), skeleton.len() as u64);
    assert_eq!(rebuild(&assembly, &skeleton, &contents, 0..u64::MAX), message);
    let from = number >> 16 & 0xfff;
    let to = (from + (number >> 44)).min(message.len() as u64);
    let found = rebuild(&assembly, &skeleton, &contents, from..to);
    assert_eq!(found, slice(from.min(to)..to));
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
    let part = CutOut { len: content.len() as u64, lines, ..CutOut::default() };
    let assembly = Assembly::of_skeleton(&[part], 0).expect("one part is a message");
    [rebuild(&assembly, b"", &[content.to_vec()], 0..u64::MAX), tail.to_vec()].concat()
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
