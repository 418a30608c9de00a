'use strict';
// The seven segments in DuckDB, on two threads: from scratch over one table sorted by (event, time); kept fresh
// over a table per event name that matters and sums per person, in one transaction a batch. Given to it for
// nothing: people are numbers, names and categories enumerations, batches are parsed and staged beforehand.
const { DuckDBInstance } = require('@duckdb/node-api');
const common = require('./common.js');

const TABLES = { views: 'Product Viewed', carts: 'Cart Started', orders: 'Order Placed' };
const COLUMNS = 'time, person, category, product, cents, order_no';
const EVENT_COLUMNS = `event, ${COLUMNS}`;

async function main() {
  const given = common.settings();
  const sql = common.statements('duckdb.sql');
  const file = `${given.folder}/duckdb.db`;
  let instance = await DuckDBInstance.create(file, { threads: '2' });
  let connection = await instance.connect();
  const run = (text) => connection.run(text);
  const rows = async (text) => (await connection.runAndReadAll(text)).getRows();

  const before = common.wallMs();
  const used = common.cpuMs();
  const csv = `read_csv('${given.events}', header = true, columns = {seq: 'UBIGINT', time: 'BIGINT', person: 'UINTEGER',
    event: 'VARCHAR', category: 'VARCHAR', product: 'USMALLINT', cents: 'INTEGER', order_no: 'UINTEGER'})`;
  for (const [type, column] of [['event_name', 'event'], ['category_name', 'category']]) {
    await run(`CREATE TYPE ${type} AS ENUM (SELECT DISTINCT ${column} FROM ${csv} WHERE ${column} IS NOT NULL)`);
  }
  await run(`CREATE TABLE people AS SELECT * FROM read_csv('${given.people}', header = true,
    columns = {person: 'UINTEGER', tier: 'VARCHAR'})`);
  await run(`CREATE TABLE arrived AS SELECT seq, time, person, event::event_name AS event,
    category::category_name AS category, product, cents, order_no FROM ${csv}`);
  await run(`CREATE TABLE events AS SELECT ${EVENT_COLUMNS} FROM arrived ORDER BY event, time`);
  await run('CHECKPOINT');
  common.report({ what: 'load', ms: common.wallMs() - before, cpu_ms: common.cpuMs() - used });
  common.report({ what: 'version', version: String((await rows('SELECT version()'))[0][0]) });
  connection.closeSync();
  instance.closeSync();
  instance = await DuckDBInstance.create(file, { threads: '2' });
  connection = await instance.connect();
  await common.fromScratch(sql.scratch, given, run, async (text) =>
    (await rows(`SELECT count(*), coalesce(sum(person), 0) FROM (${text})`))[0].map(Number));

  const last = Number((await rows('SELECT max(seq) FROM arrived'))[0][0]) - given.tail;
  await run('DROP TABLE events');
  for (const [table, event] of Object.entries(TABLES)) {
    await run(`CREATE TABLE ${table} AS SELECT ${COLUMNS} FROM arrived WHERE seq <= ${last} AND event = '${event}' ORDER BY seq`);
  }
  const others = `event NOT IN ('${Object.values(TABLES).join("', '")}')`;
  await run(`CREATE TABLE others AS SELECT ${EVENT_COLUMNS} FROM arrived WHERE seq <= ${last} AND ${others} ORDER BY seq`);
  const sums = (where) => `SELECT person, count(*) FILTER (event = 'Order Placed') AS orders,
      coalesce(sum(cents) FILTER (event = 'Order Placed'), 0)::BIGINT AS gross,
      coalesce(max(time) FILTER (event = 'Order Placed'), 0) AS last,
      sum(if(event = 'Order Placed', cents, -cents))::BIGINT AS net, any_value(tier) = 'high' AS high
    FROM ${where} AND event IN ('Order Placed', 'Refunded') GROUP BY person`;
  await run(`CREATE TABLE sums (person UINTEGER PRIMARY KEY, orders BIGINT, gross BIGINT, last BIGINT, net BIGINT, high BOOLEAN)`);
  await run(`INSERT INTO sums ${sums(`arrived JOIN people USING (person) WHERE seq <= ${last}`)}`);
  await run(`CREATE TEMP TABLE staged AS SELECT * FROM arrived WHERE seq > ${last} ORDER BY seq`);
  await run('DROP TABLE arrived');
  await run('CHECKPOINT');
  await common.keptFresh(sql.kept, given, last + 1, async (from, to) => {
    const batch = `WHERE seq BETWEEN ${from} AND ${to}`;
    const now = Number((await rows(`SELECT max(time) FROM staged ${batch}`))[0][0]);
    const start = common.wallMs();
    await run('BEGIN');
    for (const [table, event] of Object.entries(TABLES)) {
      await run(`INSERT INTO ${table} SELECT ${COLUMNS} FROM staged ${batch} AND event = '${event}'`);
    }
    await run(`INSERT INTO others SELECT ${EVENT_COLUMNS} FROM staged ${batch} AND ${others}`);
    await run(`INSERT INTO sums ${sums(`staged JOIN people USING (person) ${batch}`)} ON CONFLICT DO UPDATE SET
      orders = sums.orders + excluded.orders, gross = sums.gross + excluded.gross,
      last = greatest(sums.last, excluded.last), net = sums.net + excluded.net`);
    await run('COMMIT');
    return { before: start, now };
  }, run);
  connection.closeSync();
  instance.closeSync();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
