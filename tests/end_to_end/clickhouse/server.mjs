// ClickHouse's HTTP interface before the engine as a library (chdb), for tests/end_to_end/clickhouse_test.py:
//
//   node server.mjs FOLDER USERS       listens on 127.0.0.1, prints where, and ends when its standard input does
//
// FOLDER holds the data. USERS is JSON: {"writer": {"password": "...", "readonly": 0}, ...}.
//
// The engine's own: parsing, types, every value and format of an answer, reading of Parquet, tables, merges, FINAL, the
// memory of deduplication tokens, settings and whether they may be changed, `readonly`, and the words and codes of errors.
//
// The front's: the protocol, as the server has it in src/Server/HTTPHandler.cpp. The query is the parameter `query`,
// then the body; every other parameter is a setting, `param_...` the value of a parameter of the query; `database` is
// the current one; GET only reads; one statement a request; an error has the server's status and
// X-ClickHouse-Exception-Code. Each request has a connection of its own, so that no setting outlives it. Users are the
// front's too: the library has one. `readonly` is what the user's profile would say.
//
// Not as the server: the data of an INSERT goes to the engine as a file (FROM INFILE), since the library takes binary
// data no other way. Requests run one after the other. Answers are always sent when they are whole, as
// `wait_end_of_query` asks. There are no grants, no sessions, no asynchronous inserts, no compression, no clusters.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import chdb from 'chdb';

const folder = process.argv[2];
const users = JSON.parse(process.argv[3]);
const data = join(folder, 'data');

// Parameters that are not settings, or mean nothing where answers are whole.
const RESERVED = new Set(['query', 'database', 'default_format', 'query_id', 'user', 'password', 'quota_key', 'role', 'session_id',
  'session_timeout', 'session_check', 'wait_end_of_query', 'buffer_size', 'stacktrace', 'compress', 'decompress']);

// src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
const STATUS = new Map(Object.entries({
  400: `BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING
    CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4
    CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID DUPLICATE_COLUMN ILLEGAL_COLUMN UNKNOWN_ELEMENT_IN_AST
    UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA
    TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`,
  401: 'REQUIRED_PASSWORD',
  403: 'UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED',
  404: `UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE UNKNOWN_SETTING
    UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY
    UNKNOWN_ROLE`,
  408: 'TIMEOUT_EXCEEDED',
  413: 'QUERY_IS_TOO_LARGE',
  501: 'NOT_IMPLEMENTED',
  503: 'SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK',
}).flatMap(([status, names]) => names.split(/\s+/).map((name) => [name, Number(status)])));

const quoted = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;
const inBackticks = (name) => `\`${name.replace(/[\\`]/g, '\\$&')}\``;

class Refusal extends Error {
  constructor(code, name, words) {
    super(`Code: ${code}. DB::Exception: ${words} (${name})`);
  }
}

function authenticate(request, parameters) {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '');
  const [name, password] = basic ? Buffer.from(basic[1], 'base64').toString().split(/:(.*)/s)
    : [request.headers['x-clickhouse-user'] ?? parameters.get('user') ?? 'default',
      request.headers['x-clickhouse-key'] ?? parameters.get('password') ?? ''];
  const user = Object.hasOwn(users, name) ? users[name] : undefined;
  if (user?.password === password) return user;
  throw new Refusal(516, 'AUTHENTICATION_FAILED',
    `${name}: Authentication failed: password is incorrect, or there is no user with such name.`);
}

// One statement; the library takes several.
async function checkThatItIsOne(connection, query) {
  if (!query.includes(';')) return;
  try {
    await connection.queryAsync(`SELECT formatQuery(${quoted(query)})`, { format: 'Null' });
  } catch (error) {
    // What else is wrong with it, it says itself when it is run.
    if (error.message.includes('Multi-statements')) throw new Error(error.message.replace(/: In scope SELECT formatQuery.*(?= \(SYNTAX_ERROR\))/s, ''));
  }
}

async function run(request, body) {
  const url = new URL(request.url, 'http://server');
  const parameters = url.searchParams;
  const user = authenticate(request, parameters);
  if (request.headers['content-encoding']) throw new Refusal(48, 'NOT_IMPLEMENTED', 'This front reads no compressed requests.');
  const connection = new chdb.Session(data);
  try {
    const set = async (settings) => settings.length > 0 && connection.queryAsync(`SET ${settings.join(', ')}`);
    // A server wants the word SELECT; the library does not.
    await set(['implicit_select = 0', ...(user.readonly ? [`readonly = ${user.readonly}`] : [])]);
    await set([...parameters].filter(([name]) => !RESERVED.has(name)).map(([name, value]) => `${name} = ${quoted(value)}`));
    if (request.method !== 'POST' && !user.readonly && !Number(parameters.get('readonly'))) await set(['readonly = 2']);
    const database = parameters.get('database') ?? request.headers['x-clickhouse-database'];
    if (database) await connection.queryAsync(`USE ${inBackticks(database)}`);
    return await ask(connection, parameters, body);
  } finally {
    connection.close();
  }
}

async function ask(connection, parameters, body) {
  const format = parameters.get('default_format') ?? 'TabSeparated';
  const given = parameters.get('query') ?? '';
  const insert = body.length > 0 && /^(\s*INSERT\s+INTO\s.*)\sFORMAT\s+(\w+)\s*$/is.exec(given);
  const query = insert || body.length === 0 ? given : given === '' ? body.toString() : `${given}\n${body}`;
  if (query.trim() === '') throw new Refusal(62, 'SYNTAX_ERROR', 'Empty query.');
  await checkThatItIsOne(connection, query);
  if (!insert) return connection.queryAsync(query, { format });
  const file = join(folder, randomUUID());
  writeFileSync(file, body);
  try {
    return await connection.queryAsync(`${insert[1]} FROM INFILE ${quoted(file)} COMPRESSION 'none' FORMAT ${insert[2]}`, { format });
  } finally {
    rmSync(file);
  }
}

let before = Promise.resolve();
const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const path = request.url.split('?')[0];
  if (path === '/ping' || (request.url === '/' && request.method === 'GET')) return response.end('Ok.\n');
  if (path !== '/') return response.writeHead(404).end(`There is no handle ${request.url}\n`);
  const answer = before.then(() => run(request, body));
  before = answer.catch(() => {});
  const headers = { 'X-ClickHouse-Query-Id': new URL(request.url, 'http://server').searchParams.get('query_id') ?? randomUUID() };
  try {
    const result = await answer;
    const bytes = result.bytes();
    const summary = JSON.stringify({ read_rows: String(result.rowsRead), read_bytes: String(result.bytesRead) });
    response.writeHead(200, { ...headers, 'X-ClickHouse-Summary': summary, 'Content-Length': bytes.length }).end(bytes);
  } catch (error) {
    const code = /^Code: (\d+)/.exec(error.message)?.[1] ?? '1001';
    const name = /.*\(([A-Z_0-9]+)\)/s.exec(error.message)?.[1];
    const bytes = Buffer.from(`${error.message.trim()} (version ${version})\n`);
    response.writeHead(STATUS.get(name) ?? 500, {
      ...headers, 'X-ClickHouse-Exception-Code': code, 'Content-Type': 'text/plain; charset=UTF-8', 'Content-Length': bytes.length,
    }).end(bytes);
  }
});

// As long as a connection is open the engine stays, and so does what it remembers.
const kept = new chdb.Session(data);
const version = (await kept.queryAsync('SELECT version()', { format: 'TabSeparated' })).text().trim();
process.stdin.on('end', () => process.exit(0)).resume();
server.listen(0, '127.0.0.1', () => console.log(`ClickHouse ${version} at http://127.0.0.1:${server.address().port}`));
