// What ImapFlow's users do; extensions are used when the server offers them. Arguments: IMAP port, IMAPS port,
// certificate.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { text, buffer } = require('node:stream/consumers');
const { ImapFlow } = require('imapflow');

const [imapPort, imapsPort, certificate] = process.argv.slice(-3);
const tls = { ca: fs.readFileSync(certificate) };
// Generous, as the machine may be busy; what hangs ends all the same.
const patience = 120_000;
setTimeout(() => { console.error('it took too long'); process.exit(1); }, patience).unref();

async function connect(options = {}) {
    const client = new ImapFlow({
        host: 'localhost', port: Number(imapsPort), secure: true, tls, logger: false, disableAutoIdle: true,
        auth: { user: 'u1', pass: 'pw' }, ...options
    });
    client.on('error', error => { throw error; });
    await client.connect();
    return client;
}

/** The next event of this name, or a failure. */
function event(client, name, fits = () => true) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${name}`)), patience / 2);
        client.on(name, function heard(value) {
            if (fits(value)) {
                clearTimeout(timer);
                client.off(name, heard);
                resolve(value);
            }
        });
    });
}

async function rejects(promise, code) {
    await assert.rejects(promise, error => {
        assert.equal(error.serverResponseCode, code, error);
        return true;
    });
}

const picture = Buffer.from(Array.from({ length: 3000 }, (_, n) => n % 256));
const mail = n => `From: Zoe <zoe@example.org>\r\nTo: u1@example.org\r\nSubject: mail ${n}\r\n`
    + `Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMessage-ID: <${n}@example.org>\r\n\r\nbody ${n}\r\n`;
const parts = [
    'From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>', 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=', 'Message-ID: <3@example.org>',
    'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="b"', '',
    '--b', 'Content-Type: text/plain; charset=iso-8859-1', 'Content-Transfer-Encoding: quoted-printable', '', 'Gr=FC=DFe', '',
    '--b', 'Content-Type: image/png', 'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment; filename="a.png"', '', picture.toString('base64').replace(/.{76}/g, '$&\r\n'), '',
    '--b--', ''
].join('\r\n');

async function logIn() {
    // STARTTLS, because the server offers it; and a password that is wrong.
    const client = await connect({ port: Number(imapPort), secure: false, doSTARTTLS: true });
    assert.ok(client.secureConnection && client.authenticated);
    await client.logout();
    const wrong = connect({ auth: { user: 'u1', pass: 'wrong' } });
    await assert.rejects(wrong, error => error.authenticationFailed);
    for (const loginMethod of ['LOGIN', 'AUTH=LOGIN', 'AUTH=PLAIN']) {
        await (await connect({ auth: { user: 'u1', pass: 'pw', loginMethod } })).logout();
    }
}

async function mailboxes(client) {
    assert.equal(client.serverInfo.name, 'Loft');
    assert.equal(client.namespace.delimiter, '/');
    const name = 'Übung & "Test" \\ 日本語 😀 100%';
    const made = await client.mailboxCreate([name, 'unten']);
    assert.deepEqual([made.path, made.created], [`${name}/unten`, true]);
    assert.equal((await client.mailboxCreate([name, 'unten'])).created, false);
    await client.mailboxSubscribe(`${name}/unten`);
    const listed = await client.list({ statusQuery: { messages: true, unseen: true, size: true, uidNext: true } });
    const roles = Object.fromEntries(listed.filter(box => box.specialUse).map(box => [box.path, box.specialUse]));
    assert.deepEqual(roles, {
        INBOX: '\\Inbox', Drafts: '\\Drafts', Sent: '\\Sent', Junk: '\\Junk', Trash: '\\Trash', Archive: '\\Archive'
    });
    const below = listed.find(box => box.path === `${name}/unten`);
    assert.deepEqual([below.name, below.parentPath, below.subscribed], ['unten', name, true]);
    assert.deepEqual([below.status.messages, below.status.uidNext, below.status.size], [0, 1, 0]);
    const tree = await client.listTree();
    assert.deepEqual(tree.folders.find(box => box.name === name).folders.map(box => box.name), ['unten']);
    const renamed = await client.mailboxRename(name, 'Ärger');
    assert.equal(renamed.newPath, 'Ärger');
    if (made.mailboxId) { // RFC 8474 §4.1: the id stays over a rename
        const opened = await client.mailboxOpen('Ärger/unten');
        assert.equal(opened.mailboxId, made.mailboxId);
        await client.mailboxClose();
    }
    await client.mailboxDelete('Ärger/unten');
    await rejects(client.mailboxOpen('Ärger/unten'), 'NONEXISTENT');
}

async function messages(client) {
    const then = new Date('2025-12-31T23:59:58Z');
    for (const [n, source] of [mail(1), mail(2), parts, mail(4)].entries()) {
        const told = await client.append('INBOX', source, n === 1 ? ['\\Seen', 'work'] : [], then);
        assert.equal(told.uid, n + 1);
    }
    const lock = await client.getMailboxLock('INBOX');
    try {
        assert.deepEqual([client.mailbox.exists, client.mailbox.uidNext], [4, 5]);
        const all = await client.fetchAll('1:*', {
            flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true,
            headers: ['subject'], threadId: true, bodyParts: ['1', { key: '2', start: 10, maxLength: 20 }]
        });
        assert.deepEqual(all.map(one => one.uid), [1, 2, 3, 4]);
        assert.deepEqual([...all[1].flags].filter(flag => flag !== '\\Recent').sort(), ['\\Seen', 'work']);
        const found = all[2];
        assert.equal(found.source.toString(), parts);
        assert.equal(found.size, parts.length);
        assert.equal(found.internalDate.getTime(), then.getTime());
        assert.deepEqual([found.envelope.subject, found.envelope.from[0].name], ['Grüße', 'Zoë']);
        assert.equal(found.headers.toString().trim(), 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=');
        assert.deepEqual(found.bodyStructure.childNodes.map(node => node.type), ['text/plain', 'image/png']);
        assert.equal(found.bodyStructure.childNodes[1].dispositionParameters.filename, 'a.png');
        // Encoded, or with BINARY decoded.
        const first = found.bodyParts.get('1').toString('latin1').trim();
        assert.equal(first, found.binaryParts?.has('1') ? 'Grüße' : 'Gr=FC=DFe');
        assert.equal(found.bodyParts.get('2').length, 20);
        if (client.capabilities.has('OBJECTID')) {
            assert.equal(new Set(all.map(one => one.emailId)).size, 4, 'each message has its id (RFC 8474 §5.1)');
            assert.deepEqual(await client.search({ emailId: found.emailId }), [3]);
        }
        const plain = await client.download('3', '1');
        assert.equal((await text(plain.content)).trim(), 'Grüße');
        for (const options of [{}, { binary: true }, { chunkSize: 500 }]) {
            const png = await client.download('3', '2', options);
            assert.deepEqual([png.meta.contentType, png.meta.filename], ['image/png', 'a.png']);
            assert.deepEqual(await buffer(png.content), picture);
        }
        const whole = await client.download('3', undefined, { chunkSize: 700 });
        assert.equal((await buffer(whole.content)).toString(), parts);
        const many = await client.downloadMany('3', ['1', '2']);
        assert.deepEqual(many['2'].content, picture);

        for (const [query, uids] of [
            [{ all: true }, [1, 2, 3, 4]], [{ seen: false }, [1, 3, 4]], [{ keyword: 'work' }, [2]],
            [{ subject: 'grüße' }, [3]], [{ header: { 'message-id': '4@example' } }, [4]], [{ larger: 1000 }, [3]],
            [{ or: [{ body: 'body 1' }, { body: 'body 2' }] }, [1, 2]], [{ not: { uid: '2:*' } }, [1]],
            [{ before: '2026-01-01', sentOn: '2026-03-02' }, [1, 2, 4]], [{ since: '2026-01-01' }, []]
        ]) {
            assert.deepEqual(await client.search(query, { uid: true }), uids, JSON.stringify(query));
        }
        const counted = await client.search({ all: true }, { uid: true, returnOptions: ['MIN', 'MAX', 'COUNT', 'ALL'] });
        assert.deepEqual([counted.min, counted.max, counted.count, counted.all], [1, 4, 4, '1:4']);

        await client.messageFlagsAdd('1:3', ['\\Flagged', 'blue'], { uid: true });
        await client.messageFlagsRemove([2], ['\\Flagged'], { uid: true });
        await client.messageFlagsSet('3', ['\\Answered'], { uid: true });
        const flags = async () => (await client.fetchAll('1:*', { flags: true })).map(one =>
            [...one.flags].filter(flag => flag !== '\\Recent').sort().join(' '));
        assert.deepEqual(await flags(), ['\\Flagged blue', '\\Seen blue work', '\\Answered', '']);
        assert.deepEqual((await client.messageCopy('1:2', 'Archive', { uid: true })).uidMap, new Map([[1, 1], [2, 2]]));
        assert.deepEqual((await client.messageMove('2', 'Trash', { uid: true })).uidMap, new Map([[2, 1]]));
        await client.messageDelete('4', { uid: true });
        assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 3]);
        const status = await client.status('Archive', { messages: true, unseen: true, size: true });
        assert.deepEqual([status.messages, status.unseen, status.size], [2, 1, mail(1).length + mail(2).length]);
    } finally {
        lock.release();
    }
}

/** CONDSTORE (RFC 7162): what changed since, and a change that comes too late. */
async function changes(client) {
    const opened = await client.mailboxOpen('INBOX');
    assert.ok(opened.highestModseq > 0n, 'a HIGHESTMODSEQ');
    const since = opened.highestModseq;
    await client.messageFlagsAdd('3', ['\\Seen'], { uid: true });
    const changed = await client.fetchAll('1:*', { flags: true }, { changedSince: since });
    assert.deepEqual(changed.map(one => one.uid), [3]);
    assert.ok(changed[0].modseq > since);
    const late = { uid: true, unchangedSince: since };
    await client.messageFlagsAdd('3', ['late'], late);
    assert.ok(!(await client.fetchOne('3', { flags: true }, { uid: true })).flags.has('late'));
    assert.deepEqual(await client.search({ modseq: since + 1n }, { uid: true }), [3]);
    await client.messageFlagsSet('3', ['\\Answered'], { uid: true });
    await client.mailboxClose();
}

async function idle(client) {
    const other = await connect();
    const opened = await client.mailboxOpen('INBOX', { readOnly: true });
    assert.ok(opened.readOnly);
    const waiting = client.idle();
    await other.mailboxOpen('INBOX');
    const exists = event(client, 'exists', event => event.count === 3);
    await other.append('INBOX', mail(5));
    await exists;
    const flagged = event(client, 'flags', event => event.seq === 1 && event.flags.has('\\Answered'));
    await other.messageFlagsAdd('1', ['\\Answered'], { uid: true });
    await flagged;
    const gone = event(client, 'expunge');
    await other.messageDelete('3', { uid: true });
    const expunged = await gone;
    assert.ok(expunged.vanished ? expunged.uid === 3 : expunged.seq === 2, JSON.stringify(expunged));
    await client.noop(); // ends IDLE
    await waiting;
    assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 5]);
    await other.logout();
}

async function many(client) {
    await client.mailboxCreate('Many');
    for (let n = 1; n <= 200; n++) {
        await client.append('Many', mail(n));
    }
    const lock = await client.getMailboxLock('Many');
    let n = 0;
    for await (const one of client.fetch('1:*', { source: true })) {
        n += 1;
        assert.equal(one.source.toString(), mail(n));
    }
    assert.equal(n, 200);
    const odd = Array.from({ length: 100 }, (_, n) => 2 * n + 1);
    await client.messageDelete(odd, { uid: true });
    assert.equal(client.mailbox.exists, 100);
    assert.deepEqual(await client.search({ all: true }, { uid: true }), odd.map(uid => uid + 1));
    lock.release();
}

(async () => {
    await logIn();
    const client = await connect({ qresync: true });
    await mailboxes(client);
    await messages(client);
    const used = ['IDLE', 'MOVE'];
    if (client.capabilities.has('CONDSTORE')) {
        await changes(client);
        used.push('CONDSTORE');
    }
    await idle(client);
    await many(client);
    used.push(...['QRESYNC', 'IMAP4rev2', 'OBJECTID', 'BINARY'].filter(name => client.capabilities.has(name)));
    await client.logout();
    console.log(`done with ${used.join(' ')}`);
})().catch(error => {
    console.error(error);
    process.exit(1);
});
