//! What the bench needs: noise from a seed, mail as people and programs write it, CPU time, tables.

use std::io;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// Numbers from a seed, the same on each machine.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// The next number (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A length around `median`, a few of them much longer: log-normal.
    fn length(&mut self, median: f64, spread: f64) -> usize {
        let normal = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        (median * (normal * spread).exp()) as usize
    }

    /// As frequent as words are: the n-th 1/n times as often as the first.
    fn zipf(&mut self, count: usize) -> usize {
        ((count as f64).powf(self.share()) as usize).clamp(1, count) - 1
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }

    fn digits(&mut self, alphabet: &str, count: usize) -> String {
        let chars: Vec<char> = alphabet.chars().collect();
        (0..count).filter_map(|_| chars.get(self.below(chars.len()))).collect()
    }
}

/// Messages of a person: about half from programs that send the same with other numbers, a third from lists and shops,
/// the rest written by hand; lengths around 4 KiB.
pub(crate) fn corpus(count: usize, noise: &mut Noise) -> Vec<Vec<u8>> {
    let world = World::new(noise);
    (0..count).map(|_| world.message(noise)).collect()
}

/// What the messages have in common.
struct World {
    words: Vec<String>,
    people: Vec<(String, String)>,
    hosts: Vec<String>,
    templates: Vec<String>,
}

impl World {
    fn new(noise: &mut Noise) -> Self {
        let syllables = [
            "an", "be", "con", "de", "er", "for", "ing", "in", "la", "men", "mo", "on", "per",
            "pro", "re", "ri", "sta", "te", "ter", "tion", "to", "un", "ver", "wa",
        ];
        // Frequent words are short.
        let word = |n: usize, noise: &mut Noise| -> String {
            let parts = 1 + noise.below(2 + n / 400).min(3);
            (0..parts).map(|_| noise.pick(&syllables)).collect()
        };
        let words: Vec<String> = (0..6_000).map(|n| word(n, noise)).collect();
        let hosts: Vec<String> = (0..120)
            .map(|n| {
                format!(
                    "{}.{}",
                    word(n * 10, noise),
                    noise.pick(&["com", "org", "net", "de", "io"])
                )
            })
            .collect();
        let capital = |word: String| word[..1].to_uppercase() + &word[1..];
        let people = (0..300)
            .map(|n| {
                let (first, last) = (capital(word(n, noise)), capital(word(n * 9, noise)));
                let host = &hosts[noise.zipf(hosts.len())];
                let address = format!("{}.{}@{host}", first.to_lowercase(), last.to_lowercase());
                (format!("{first} {last}"), address)
            })
            .collect();
        let mut world = Self { words, people, hosts, templates: Vec::new() };
        world.templates = (0..40).map(|_| world.template(noise)).collect();
        world
    }

    /// The page of a sender of newsletters: its own layout, with room for text.
    fn template(&self, noise: &mut Noise) -> String {
        let color = |noise: &mut Noise| noise.digits("0123456789abcdef", 6);
        let mut out = String::from(
            "<!DOCTYPE html>\r\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\r\n<head>\r\n\
             <meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\r\n<style>\r\n",
        );
        for _ in 0..4 + noise.below(12) {
            let (class, back, text) = (self.word(noise), color(noise), color(noise));
            out += &format!(
                ".{class} {{ background-color: #{back}; color: #{text}; padding: {}px; \
                 font-family: Arial, Helvetica, sans-serif; }}\r\n",
                noise.below(40)
            );
        }
        out += "</style>\r\n</head>\r\n<body>\r\n<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\r\n";
        for _ in 0..2 + noise.below(6) {
            let (class, wide, back) = (self.word(noise), 100 + noise.below(500), color(noise));
            out += &format!(
                "<tr><td class=\"{class}\" width=\"{wide}\" style=\"background-color:#{back};\
                 font-size:14px;line-height:20px;\">@</td></tr>\r\n"
            );
        }
        out + "</table>\r\n<p>@</p>\r\n</body>\r\n</html>\r\n"
    }

    fn word(&self, noise: &mut Noise) -> &str {
        self.words.get(noise.zipf(self.words.len())).map_or("", String::as_str)
    }

    /// Sentences of about `len` bytes in lines of at most 72.
    fn prose(&self, len: usize, quote: &str, noise: &mut Noise) -> String {
        let (mut out, mut line) = (String::new(), quote.to_owned());
        let mut left = 6;
        while out.len() + line.len() < len {
            let mut word = self.word(noise).to_owned();
            left -= 1;
            if left == 0 {
                word += noise.pick(&[". ", ".", ",", "?", "."]);
                left = 4 + noise.below(14);
            }
            if line.len() + word.len() > 72 {
                out += line.trim_end();
                out += "\r\n";
                line = quote.to_owned();
            }
            line += &word;
            line.push(' ');
        }
        out + line.trim_end() + "\r\n"
    }

    fn message(&self, noise: &mut Noise) -> Vec<u8> {
        let from = noise.zipf(self.people.len());
        let kind = noise.below(10);
        let (headers, body) = match kind {
            0..=4 => self.notice(from, noise),
            5..=7 => self.newsletter(from, noise),
            _ => self.letter(noise),
        };
        let mut out = self.header(from, noise) + &headers;
        out += "\r\n";
        out += &body;
        out.into_bytes()
    }

    fn header(&self, from: usize, noise: &mut Noise) -> String {
        let hex = "0123456789abcdef";
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (name, address) = &self.people[from];
        let host = address.rsplit('@').next().unwrap_or_default().to_owned();
        let date = format!(
            "{}, {} {} 2026 {:02}:{:02}:{:02} +0{}00",
            noise.pick(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
            1 + noise.below(28),
            noise.pick(&["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Sep", "Oct", "Nov"]),
            noise.below(24),
            noise.below(60),
            noise.below(60),
            noise.below(3)
        );
        let mut out = format!("Return-Path: <{address}>\r\nDelivered-To: ada@example.org\r\n");
        let mut by = "mx.example.org".to_owned();
        for _ in 0..2 + noise.below(3) {
            let (sender, id) =
                (self.hosts[noise.zipf(self.hosts.len())].clone(), noise.digits(letters, 12));
            let ip = [0; 4].map(|_| noise.below(256).to_string()).join(".");
            out += &format!(
                "Received: from mail.{sender} (mail.{sender} [{ip}])\r\n\t(using TLSv1.3 with cipher \
                 TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tby {by} (Postfix) with ESMTPS id {id}\r\n\t\
                 for <ada@example.org>; {date}\r\n"
            );
            by = format!("mail.{sender}");
        }
        out += &format!(
            "Authentication-Results: mx.example.org; dkim=pass (2048-bit key) header.d={host} \
             header.i=@{host};\r\n\tspf=pass smtp.mailfrom={address}; dmarc=pass\r\nDKIM-Signature: v=1; \
             a=rsa-sha256; c=relaxed/relaxed; d={host}; s={};\r\n\th=from:to:subject:date:message-id:\
             mime-version:content-type;\r\n\tbh={}=;\r\n",
            noise.pick(&["s1", "mail", "default", "20230601", "k2"]),
            noise.digits(letters, 43)
        );
        let signature = noise.digits(letters, 342);
        for (n, line) in signature.as_bytes().chunks(70).enumerate() {
            out += if n == 0 { "\tb=" } else { "\t " };
            out += &String::from_utf8_lossy(line);
            out += "\r\n";
        }
        let id = [8, 4, 4, 4, 12].map(|count| noise.digits(hex, count)).join("-");
        out + &format!(
            "From: {name} <{address}>\r\nTo: Ada <ada@example.org>\r\nDate: {date}\r\nMessage-ID: \
             <{id}@{host}>\r\nMIME-Version: 1.0\r\n"
        )
    }

    /// A program's message: what it always says, with other names and numbers.
    fn notice(&self, from: usize, noise: &mut Noise) -> (String, String) {
        // The same for each sender.
        let own = &mut Noise(from as u64);
        let (subject, closing) = (self.prose(40, "", own), self.prose(500, "", own));
        let number = noise.below(1_000_000);
        let mut body = format!("Hello Ada,\r\n\r\n{}\r\n", self.prose(200, "", own));
        let count = noise.length(14.0, 0.8).min(400);
        for _ in 0..count {
            body += &format!(
                "  * {} #{}: {} ({} ms)\r\n",
                self.word(own),
                noise.below(100_000),
                noise.pick(&["ok", "passed", "failed", "waiting"]),
                noise.below(5_000)
            );
        }
        let host = &self.hosts[from % self.hosts.len()];
        let id = noise.digits("0123456789abcdef", 40);
        body += &format!(
            "\r\nhttps://{host}/projects/{number}/builds/{id}?utm_source=mail\r\n\r\n{closing}"
        );
        let headers = format!(
            "Subject: [{}] #{number} {}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\n",
            self.word(own),
            subject
        );
        (headers, body)
    }

    /// Text and HTML, in a sender's own layout.
    fn newsletter(&self, from: usize, noise: &mut Noise) -> (String, String) {
        let template = &self.templates[from % self.templates.len()];
        let boundary = format!("----=_Part_{}_{}", noise.below(1 << 30), noise.below(1 << 30));
        let text = self.prose(noise.length(700.0, 0.6).min(20_000), "", noise);
        let mut html = String::new();
        for (n, piece) in template.split('@').enumerate() {
            if n > 0 {
                let host = &self.hosts[from % self.hosts.len()];
                let token = noise
                    .digits("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 60);
                let (link, image) = (self.word(noise), self.word(noise));
                html += &format!(
                    "<a href=\"https://click.{host}/c/{token}\">{link}</a><img src=\"https://{host}/i/{image}.png\">{}",
                    self.prose(noise.length(200.0, 0.7).min(8_000), "", noise)
                );
            }
            html += piece;
        }
        let headers = format!(
            "Subject: {}Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\nList-Unsubscribe: \
             <https://{}/u/{}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            self.prose(50, "", noise),
            self.hosts[from % self.hosts.len()],
            noise.digits("0123456789abcdef", 32)
        );
        let part = |kind: &str, coding: &str, body: &str| {
            format!(
                "--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: {coding}\r\n\r\n{body}\r\n"
            )
        };
        let body = part("plain", "7bit", &text) + &part("html", "quoted-printable", &html);
        (headers, body + &format!("--{boundary}--\r\n"))
    }

    /// Written by hand, with what it answers to; some with a small picture.
    fn letter(&self, noise: &mut Noise) -> (String, String) {
        let (name, _) = &self.people[noise.zipf(self.people.len())];
        let mut text =
            format!("Hi,\r\n\r\n{}", self.prose(noise.length(900.0, 0.9).min(20_000), "", noise));
        if noise.below(3) > 0 {
            text += &format!(
                "\r\nOn Tuesday {name} wrote:\r\n{}",
                self.prose(noise.length(900.0, 0.9).min(20_000), "> ", noise)
            );
        }
        let subject = self.prose(40, "", noise);
        let plain = "Content-Type: text/plain; charset=utf-8; format=flowed\r\n";
        if noise.below(6) > 0 {
            return (
                format!("Subject: Re: {subject}User-Agent: Mozilla Thunderbird\r\n{plain}"),
                text,
            );
        }
        let picture: Vec<u8> =
            (0..noise.length(8_000.0, 0.7).min(40_000)).map(|_| noise.next() as u8).collect();
        let boundary = format!(
            "------------{}",
            noise.digits("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 24)
        );
        let body = format!(
            "This is a multi-part message in MIME format.\r\n--{boundary}\r\n{plain}\r\n{text}\r\n--{boundary}\r\n\
             Content-Type: image/png; name=\"{}.png\"\r\nContent-Disposition: inline\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--{boundary}--\r\n",
            self.word(noise),
            String::from_utf8_lossy(&base64(&picture, 72))
        );
        (
            format!("Subject: {subject}Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n"),
            body,
        )
    }
}

/// Base64 in lines.
pub(crate) fn base64(content: &[u8], line: usize) -> Vec<u8> {
    use base64::Engine as _;
    let chars = base64::engine::general_purpose::STANDARD.encode(content);
    chars.as_bytes().chunks(line).collect::<Vec<_>>().join(b"\r\n".as_slice())
}

/// The files below a directory.
pub(crate) fn messages_below(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut messages = Vec::new();
    for entry in entries {
        if entry.file_type()?.is_dir() {
            messages.extend(messages_below(&entry.path())?);
        } else {
            messages.push(std::fs::read(entry.path())?);
        }
    }
    Ok(messages)
}

/// Seconds of CPU that this thread has used.
pub(crate) fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Prints rows as a table of Markdown, the first as its head.
pub(crate) fn print(rows: &[Vec<String>]) {
    for (n, row) in rows.iter().enumerate() {
        println!("| {} |", row.join(" | "));
        if n == 0 {
            println!("|{}", " --- |".repeat(row.len()));
        }
    }
}
