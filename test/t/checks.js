// What the scripts for node share: a check is a line of JSON on the output.
'use strict';
const util = require('util');

const text = x => JSON.stringify(x, (k, v) => typeof v === 'bigint' ? `${v}n` : v) ?? 'undefined';

exports.ok = (ok, name, got, wanted) =>
    console.log(JSON.stringify({ ok: !!ok, name, got: text(got), wanted: text(wanted) }));
exports.is = (got, wanted, name) => exports.ok(util.isDeepStrictEqual(got, wanted), name, got, wanted);
exports.like = (got, wanted, name) => exports.ok(wanted.test(String(got)), name, got, String(wanted));
exports.not_run = what => console.log(JSON.stringify({ not_run: what }));

// The error of a promise that must fail.
exports.error_of = promise => promise.then(() => { throw new Error('there was no error'); }, e => e);

// Run the checks; what goes wrong elsewhere ends the script with its message.
exports.main = checks => checks().then(
    () => { console.log(JSON.stringify({ finished: true })); process.exit(0); },
    e => { console.error(e); process.exit(1); });
