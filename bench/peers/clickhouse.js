'use strict';
// The seven segments in ClickHouse (as a library), on two threads: from scratch over one table in order of (event,
// time); kept fresh over the same table and sums per person. What duckdb.js says about what is given for nothing
// holds here too.
const { Session } = require('chdb');
const common = require('./common.js');

const COLUMNS = 'time, person, event, category, product, cents, order_no';
const CSV_COLUMNS = `seq UInt64, time Int64, person UInt32, event String, category String, product UInt16, cents Int32,
  order_no UInt32`;

async function main() {
  const given = common.settings();
  const sql = common.statements('clickhouse.sql');
  const session = new Session(`${given.folder}/clickhouse`);
  const run = (text) => session.queryAsync(text, { format: 'TSV' });
  // Members as numbers in bytes, so that their text costs nothing.
  const members = (text) => session.queryAsync(`${text}\nSETTINGS max_threads = 2`, { format: 'RowBinary' });
  const cells = async (text) => (await run(text)).text().trim().split('\t');

  await run('CREATE DATABASE shop');
  await run('CREATE TABLE shop.people (person UInt32, tier LowCardinality(String)) ENGINE = MergeTree ORDER BY person');
  const csv = `file('${given.events}', CSVWithNames, '${CSV_COLUMNS}')`;
  const enumeration = async (column) => {
    const found = await run(`SELECT DISTINCT ${column} FROM ${csv} ORDER BY ${column}`);
    const names = found.text().replace(/\n$/, '').split('\n');
    return `Enum8(${names.map((name, i) => `'${name}' = ${i + 1}`).join(', ')})`;
  };
  const table = `(time Int64 CODEC(Delta, LZ4), person UInt32, event ${await enumeration('event')},
    category ${await enumeration('category')}, product UInt16, cents Int32, order_no UInt32) ENGINE = MergeTree ORDER BY (event, time)`;
  await run(`CREATE TABLE shop.events ${table}`);
  const before = common.wallMs();
  const used = common.cpuMs();
  await run(`INSERT INTO shop.people SELECT * FROM file('${given.people}', CSVWithNames, 'person UInt32, tier String')`);
  await run(`INSERT INTO shop.events SELECT ${COLUMNS} FROM ${csv} SETTINGS max_threads = 2, max_insert_threads = 2`);
  await run('OPTIMIZE TABLE shop.events FINAL');
  common.report({ what: 'load', ms: common.wallMs() - before, cpu_ms: common.cpuMs() - used });
  common.report({ what: 'version', version: (await cells('SELECT version()'))[0] });
  await common.fromScratch(sql.scratch, given, members, async (text) =>
    (await cells(`SELECT count(), sum(person) FROM (${text})`)).map(Number));

  const last = Number((await cells('SELECT count() FROM shop.events'))[0]) - given.tail;
  await run('DROP TABLE shop.events');
  await run(`CREATE TABLE shop.events ${table}`);
  await run(`CREATE TABLE shop.staged ENGINE = Memory AS SELECT * FROM ${csv} WHERE seq > ${last} ORDER BY seq`);
  await run(`INSERT INTO shop.events SELECT ${COLUMNS} FROM ${csv} WHERE seq <= ${last} SETTINGS max_threads = 2`);
  await run('OPTIMIZE TABLE shop.events FINAL');
  const sums = (where) => `SELECT person, countIf(event = 'Order Placed'), sumIf(cents, event = 'Order Placed'),
      maxIf(time, event = 'Order Placed'), sum(if(event = 'Order Placed', cents, -cents))
    FROM ${where} event IN ('Order Placed', 'Refunded') GROUP BY person`;
  await run(`CREATE TABLE shop.sums (person UInt32, orders SimpleAggregateFunction(sum, UInt64),
    gross SimpleAggregateFunction(sum, Int64), last SimpleAggregateFunction(max, Int64),
    net SimpleAggregateFunction(sum, Int64)) ENGINE = AggregatingMergeTree ORDER BY person`);
  await run(`INSERT INTO shop.sums ${sums('shop.events WHERE')}`);
  await common.keptFresh(sql.kept, given, last + 1, async (from, to) => {
    const batch = `shop.staged WHERE seq BETWEEN ${from} AND ${to}`;
    const now = Number((await cells(`SELECT max(time) FROM ${batch}`))[0]);
    const start = common.wallMs();
    await run(`INSERT INTO shop.events SELECT ${COLUMNS} FROM ${batch}`);
    await run(`INSERT INTO shop.sums ${sums(`${batch} AND`)}`);
    return { before: start, now };
  }, members);
  session.close();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
