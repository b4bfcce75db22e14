// Checks of 013_pgbouncer_prepared.pl: named statements of many clients over few
// server connections.
'use strict';
const { Client } = require('pg');
const { is, error_of, main } = require('./checks');

async function connect() {
    const client = new Client();
    await client.connect();
    return client;
}

const both = { name: 'both', text: 'SELECT a.n AS a, b.n AS b, a.v FROM n.a JOIN n.b USING (k) WHERE k = $1' };

async function meanwhile(clients, writer) {
    let publishing = true, waiting = clients.length;
    const read = async (client, key) => {
        const faults = [];
        let last = 0, reads = 0;
        do {
            const { rows } = await client.query({ ...both, values: [key] });
            if (rows.length !== 1 || rows[0].a !== rows[0].b || rows[0].v !== `v${key}` || rows[0].a < last) faults.push(rows);
            last = rows[0].a;
            if (++reads === 2) waiting--;
        } while (publishing);
        return { faults };
    };
    const reading = clients.map((client, i) => read(client, i + 1));
    let last;
    for (let i = 0; i < 30 || waiting > 0; i++)
        last = (await writer.query({ name: 'publish', text: 'SELECT src.publish() AS n' })).rows[0].n;
    publishing = false;
    for (const { faults } of await Promise.all(reading)) is(faults, [], 'no runs mixed, none missed');
    for (const client of clients)
        is((await client.query({ ...both, values: [3] })).rows[0].a, last, 'the last one is read in the end');
}

// Columns change.  The pooler keeps one statement for one text, whatever name
// the client gives it, so another text is needed where another name is enough
// without a pooler; as with a table.
async function redefined(clients, writer) {
    const errors = {};
    await writer.query('CREATE TABLE src.plain AS SELECT 1 AS x');
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 1 AS x')`);
    for (const relation of ['src.plain', 'n.c'])
        for (const client of clients)
            for (let i = 0; i < 3; i++)
                await client.query({ name: `star ${relation}`, text: `SELECT * FROM ${relation}` });
    await writer.query('ALTER TABLE src.plain ADD y int DEFAULT 2');
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 1 AS x, 2 AS y')`);
    for (const relation of ['src.plain', 'n.c']) {
        const e = await error_of(clients[0].query({ name: `star ${relation}`, text: `SELECT * FROM ${relation}` }));
        errors[relation] = [e.code, e.message];
        is((await error_of(clients[1].query({ name: `other ${relation}`, text: `SELECT * FROM ${relation}` }))).code, '0A000',
            `${relation}: another name does not help`);
        for (const client of clients)
            is((await client.query({ name: `new ${relation}`, text: `SELECT * FROM ${relation} WHERE true` })).rows, [{ x: 1, y: 2 }],
                `${relation}: a statement of another text works`);
    }
    is(errors['n.c'], ['0A000', 'cached plan must not change result type'], 'a statement whose result would change is refused');
    is(errors['n.c'], errors['src.plain'], 'as with a table');

    const console = new Client({ database: 'pgbouncer' });
    await console.connect();
    await console.query('RECONNECT');
    await console.query('WAIT_CLOSE');
    await console.end();
    for (const relation of ['src.plain', 'n.c'])
        is((await clients[0].query({ name: `star ${relation}`, text: `SELECT * FROM ${relation}` })).rows, [{ x: 1, y: 2 }],
            `${relation}: after RECONNECT the first one works`);
}

main(async () => {
    const clients = await Promise.all([1, 2, 3, 4, 5].map(connect));
    const writer = await connect();
    await { meanwhile, redefined }[process.env.CHECKS](clients, writer);
});
