// Checks of 011_node_postgres.pl.  Pipeline n: the rows of a and b carry the
// number of the run; src.publish() makes the next one.
'use strict';
const { Client, Query } = require('pg');
const { ok, is, like, not_run, error_of, main } = require('./checks');

async function connect() {
    const client = new Client();
    await client.connect();
    return client;
}

const one = async (client, query) => Object.values((await client.query(query)).rows[0])[0];
const publish = client => one(client, 'SELECT src.publish()');

async function parameters(reader) {
    const { rows } = await reader.query('SELECT k, v FROM n.a WHERE k = ANY ($1::int[]) AND v <> $2 AND ($3::date IS NULL) ORDER BY k',
        [[3, 1, 999], 'v1', null]);
    is(rows, [{ k: 3, v: 'v3' }], 'parameters: an array, a text, a null');
    const result = await reader.query('SELECT a.k, b.v FROM n.a JOIN n.b USING (k) WHERE a.k < $1 ORDER BY k LIMIT $2', [50, 2]);
    is(result.rows.map(r => r.k), [1, 2], 'in WHERE and LIMIT');
    const oids = (await reader.query(`SELECT 'n.a'::regclass::oid::int AS a, 'n.b'::regclass::oid::int AS b`)).rows[0];
    is(result.fields.map(f => [f.name, f.tableID, f.columnID]), [['k', oids.a, 1], ['v', oids.b, 2]],
        'the description of the result names stub and column');
}

const both = {
    name: 'both', text: 'SELECT a.n AS a, b.n AS b, (SELECT max(n) FROM n.b) AS max, a.v FROM n.a JOIN n.b USING (k) WHERE k = $1'
};

// One publication, one execution: always the newest.
async function named_in_turn(reader, writer) {
    const seen = [], wanted = [];
    for (let i = 0; i < 20; i++) {
        const n = await publish(writer);
        wanted.push([n, n, n, 'v7']);
        seen.push(Object.values((await reader.query({ ...both, values: [7] })).rows[0]));
    }
    is(seen, wanted, 'a named statement sees each publication');
    const plans = (await reader.query(
        `SELECT count(*)::int AS statements, sum(generic_plans)::int > 0 AS generic, sum(generic_plans + custom_plans)::int AS executions
         FROM pg_prepared_statements WHERE name = 'both'`)).rows[0];
    is(plans, { statements: 1, generic: true, executions: 20 }, 'prepared once, in the end with a generic plan');
}

// Readers read for as long as the writer publishes.
async function named_meanwhile(writer) {
    const readers = await Promise.all([1, 2, 3].map(connect));
    const first = await one(writer, 'SELECT n FROM n.a LIMIT 1');
    let publishing = true, waiting = readers.length;
    const read = async (reader, key) => {
        const faults = [];
        let last = first, reads = 0;
        do {
            const { rows } = await reader.query({ ...both, values: [key] });
            const r = rows[0];
            if (rows.length !== 1 || r.a !== r.b || r.a !== r.max || r.v !== `v${key}` || r.a < last) faults.push(rows);
            last = r.a;
            if (++reads === 2) waiting--;
        } while (publishing);
        return { faults };
    };
    const reading = readers.map((reader, i) => read(reader, i + 1));
    let last;
    for (let i = 0; i < 40 || waiting > 0; i++) last = await publish(writer);
    publishing = false;
    for (const { faults } of await Promise.all(reading)) is(faults, [], 'no runs mixed, none missed, none twice');
    for (const reader of readers) {
        is((await reader.query({ ...both, values: [5] })).rows[0].a, last, 'the last one is read in the end');
        await reader.end();
    }
}

async function repeatable_read(reader, writer) {
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const before = (await reader.query({ ...both, values: [9] })).rows[0].a;
    const n = await publish(writer);
    await publish(writer);
    is((await reader.query({ ...both, values: [9] })).rows[0].a, before, 'REPEATABLE READ keeps its run in a named statement');
    await reader.query('COMMIT');
    is((await reader.query({ ...both, values: [9] })).rows[0].a, n + 1, 'and sees the newest afterwards');
}

// Columns change between two executions: as with a table.
async function redefined(reader, writer) {
    await writer.query('CREATE TABLE src.plain AS SELECT 1 AS x');
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 1 AS x')`);
    await writer.query(`SELECT vibepiper.run('n', 'c', parallel => false)`);
    for (const relation of ['src.plain', 'n.c']) {
        await reader.query({ name: `star ${relation}`, text: `SELECT * FROM ${relation}` });
        await reader.query({ name: `column ${relation}`, text: `SELECT x FROM ${relation}` });
    }
    await writer.query('ALTER TABLE src.plain ADD y int DEFAULT 2');
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 1 AS x, 2 AS y')`);
    const errors = [];
    for (const relation of ['src.plain', 'n.c']) {
        const e = await error_of(reader.query({ name: `star ${relation}`, text: `SELECT * FROM ${relation}` }));
        errors.push([e.code, e.message]);
        is((await reader.query({ name: `star 2 ${relation}`, text: `SELECT * FROM ${relation}` })).rows, [{ x: 1, y: 2 }],
            `${relation}: another name works`);
        is((await reader.query({ name: `column ${relation}`, text: `SELECT x FROM ${relation}` })).rows, [{ x: 1 }],
            `${relation}: a statement that names its columns goes on`);
    }
    is(errors[1], ['0A000', 'cached plan must not change result type'], 'a statement whose result would change is refused');
    is(errors[1], errors[0], 'as with a table');

    // a column goes, so the stub is made anew
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 3 AS x')`);
    is((await reader.query({ name: 'column n.c', text: 'SELECT x FROM n.c' })).rows, [{ x: 3 }], 'not built yet, so computed');
    await writer.query(`SELECT vibepiper.run('n', 'c', parallel => false)`);
    is((await reader.query({ name: 'column n.c', text: 'SELECT x FROM n.c' })).rows, [{ x: 3 }], 'and built');
    is((await error_of(reader.query({ name: 'star 2 n.c', text: 'SELECT * FROM n.c' }))).code, '0A000', 'again');
    await reader.query({ name: 'y', text: 'SELECT x AS y FROM n.c' });
    await writer.query(`SELECT vibepiper.define_asset('n.c', 'SELECT 4 AS z')`);
    const e = await error_of(reader.query({ name: 'column n.c', text: 'SELECT x FROM n.c' }));
    is([e.code, e.message], ['42703', 'column "x" does not exist'], 'the column that it reads is gone');
    await writer.query(`SELECT vibepiper.drop_asset('n.c')`);
    is((await error_of(reader.query({ name: 'y', text: 'SELECT x AS y FROM n.c' }))).code, '42P01', 'the asset is gone');
}

// A portal that is read by two rows at a time, with a publication after each.
async function portals(reader, writer) {
    const config = { text: 'SELECT k, a.n AS a, b.n AS b FROM n.a JOIN n.b USING (k) WHERE k <= $1 ORDER BY k', values: [9], rows: 2 };
    let suspended = 0;
    const before = await one(writer, 'SELECT n FROM n.a LIMIT 1');
    const rows = await new Promise((resolve, reject) => {
        const query = new Query(config, (e, result) => e ? reject(e) : resolve(result.rows));
        const go_on = query.handlePortalSuspended.bind(query);
        query.handlePortalSuspended = connection => {
            suspended++;
            publish(writer).then(() => go_on(connection), reject);
        };
        reader.query(query);
    });
    is(rows, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(k => ({ k, a: before, b: before })), 'a portal keeps its run');
    is(suspended, 4, 'though others were published while it was open');
    is(await one(reader, 'SELECT n FROM n.b LIMIT 1'), before + 4, 'which the next query sees');

    await reader.query('BEGIN');
    await reader.query('DECLARE c SCROLL CURSOR FOR SELECT k, n FROM n.a ORDER BY k');
    await publish(writer);
    is((await reader.query('FETCH 2 FROM c')).rows, [{ k: 1, n: before + 4 }, { k: 2, n: before + 4 }], 'a cursor keeps its run');
    await publish(writer);
    is((await reader.query('FETCH BACKWARD 1 FROM c')).rows, [{ k: 1, n: before + 4 }], 'backward too');
    is(await one(reader, { name: 'in cursor', text: 'SELECT n FROM n.a LIMIT 1' }), before + 6, 'other statements see the newest');
    await reader.query('COMMIT');

    await reader.query('BEGIN');
    await reader.query('DECLARE h CURSOR WITH HOLD FOR SELECT k, n FROM n.a ORDER BY k');
    await reader.query('COMMIT');
    await publish(writer);
    is((await reader.query('FETCH 1 FROM h')).rows, [{ k: 1, n: before + 6 }], 'a cursor WITH HOLD outlives its transaction');
    await reader.query('CLOSE h');
}

// Bytes as they came (this client keeps only those below 0x80 as they are): a
// table sends the same.
async function binary(reader, writer) {
    const probe = await connect();
    const lacking = await probe.query({ name: 'binary', text: 'SELECT 1', binary: true }).catch(e => e);
    await probe.end();
    if (lacking.code === '08P01') return not_run('binary results: this node-postgres asks for them by a malformed message');

    const definition = `SELECT 1::smallint AS i2, 2::int AS i4, 3::bigint AS i8, 2::float8 AS f8, 2.50::numeric(6, 2) AS amount, true AS yes,
        'text'::text AS t, NULL::int AS nothing, timestamptz '2026-01-01 12:00:00+00' AS at, ARRAY[1, 2] AS ints, '\\x0102'::bytea AS bytes`;
    const raw = { getTypeParser: () => value => value === null ? null : Buffer.from(value).toString('hex') };
    const read = async (relation, binary, name, types) =>
        (await reader.query({ text: `SELECT * FROM ${relation} WHERE i4 = 2`, binary, name, types })).rows;
    await writer.query(`CREATE TABLE src.types AS ${definition}`);
    await writer.query(`SELECT vibepiper.define_asset('n.types', $$${definition}$$)`);
    const wanted = await read('src.types', true, 'binary table', raw);
    is([wanted[0].i4, wanted[0].f8, wanted[0].nothing], ['00000002', '4000000000000000', null], 'binary results of a table');
    is(await read('n.types', true, 'binary', raw), wanted, 'of an asset that is computed');
    await writer.query(`SELECT vibepiper.run('n', 'types', parallel => false)`);
    is(await read('n.types', true, 'binary', raw), wanted, 'of one that is stored, by the same statement');
    is(await read('n.types', false), await read('src.types', false), 'text results');
    for (let i = 0; i < 7; i++) await read('n.types', true, 'binary', raw);
    await writer.query(`SELECT vibepiper.run('n', 'types', force => true, parallel => false)`);
    is(await read('n.types', true, 'binary', raw), wanted, 'after more executions and a publication');
}

async function errors(reader, writer) {
    await writer.query(`SELECT vibepiper.define_asset('n.strict', 'SELECT k, 1 / (k - 5) AS x FROM src.t', on_miss => 'error')`);
    let e = await error_of(reader.query({ name: 'strict', text: 'SELECT x FROM n.strict WHERE k = $1', values: [1] }));
    is([e.code, e.severity], ['55000', 'ERROR'], 'a miss with on_miss error');
    like(e.message, /n\.strict/, 'names the asset');
    ok(e.detail !== undefined || e.hint !== undefined, 'and says more', e);
    ok(e.file && e.line && e.routine, 'with file, line and routine', e);

    e = await error_of(reader.query(`SELECT * FROM vibepiper.run('n', 'strict', parallel => false)`));
    is([e.code, e.severity], ['2F000', 'ERROR'], 'a run that fails');
    like(e.detail, /n\.strict.*division by zero/s, 'has the message of the task in its detail');

    await writer.query(`SELECT vibepiper.define_asset('n.strict', 'SELECT k, 1 / (k - 5) AS x FROM src.t')`);
    e = await error_of(reader.query({ name: 'strict', text: 'SELECT x FROM n.strict WHERE k = $1', values: [5] }));
    is([e.code, e.message], ['22012', 'division by zero'], 'an error while an asset is computed');
    is((await reader.query({ name: 'computed', text: 'SELECT count(*)::int AS n FROM n.a WHERE k = $1', values: [5] })).rows[0].n, 1,
        'leaves the session as it was');

    e = await error_of(reader.query('SELECT vibepiper.define_asset($1, $2)', ['n.bad', 'SELECT nothing FROM src.t']));
    is([e.code, e.message], ['42703', 'column "nothing" does not exist'], 'an error in a query that is defined');
    is([e.internalQuery, e.internalPosition], ['SELECT nothing FROM src.t', '8'], 'with the query and the position in it');

    e = await error_of(reader.query('SELECT k FROM n.a WHERE k = $1 FOR UPDATE', [1]));
    is(e.code, '42809', 'FOR UPDATE');
    e = await error_of(reader.query('SELECT k FROM n.a WHERE k = $1', ['x']));
    is(e.code, '22P02', 'a parameter that is no number');

    // a named statement in a transaction that failed
    await reader.query('BEGIN');
    await reader.query({ ...both, values: [1] });
    is((await error_of(reader.query('SELECT 1 / 0'))).code, '22012', 'a transaction fails');
    is((await error_of(reader.query({ ...both, values: [1] }))).code, '25P02', 'nothing is read in it');
    await reader.query('ROLLBACK');
    is((await reader.query({ ...both, values: [1] })).rows.length, 1, 'afterwards all is well');
}

// What a run has made and its transaction takes back is nobody's.
async function taken_back(reader, writer) {
    const before = await one(reader, 'SELECT n FROM n.a LIMIT 1');
    await writer.query('BEGIN');
    is(await publish(writer), before + 1, 'a run in a transaction');
    is((await writer.query({ ...both, values: [1] })).rows[0].a, before + 1, 'its own named statement sees it');
    is((await reader.query({ ...both, values: [1] })).rows[0].a, before, 'others do not');
    await writer.query('ROLLBACK');
    is((await writer.query({ ...both, values: [1] })).rows[0].a, before, 'nor does it after a rollback');
}

main(async () => {
    const [reader, writer] = [await connect(), await connect()];
    await parameters(reader);
    await named_in_turn(reader, writer);
    await named_meanwhile(writer);
    await repeatable_read(reader, writer);
    await redefined(reader, writer);
    await portals(reader, writer);
    await binary(reader, writer);
    await errors(reader, writer);
    await taken_back(reader, writer);
});
