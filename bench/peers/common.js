'use strict';
// What both peers share: the statements, the clock, and the figures as one JSON object a line.
const fs = require('fs');
const path = require('path');

const SEGMENTS = ['s1', 's2', 's3', 's4', 's5', 's6', 's7'];
const END = 1767225600000; // all events are before this

// {scratch: {s1: sql, ...}, kept: {...}} of a file; what `kept` lacks is as from scratch.
function statements(file) {
  const found = { scratch: {}, kept: {} };
  const text = fs.readFileSync(path.join(__dirname, file), 'utf8');
  for (const part of text.split(/^-- (?=(?:scratch|kept) s\d$)/m).slice(1)) {
    const [head, ...lines] = part.split('\n');
    const [form, segment] = head.split(' ');
    found[form][segment] = lines.join('\n').trim();
  }
  return { scratch: found.scratch, kept: { ...found.scratch, ...found.kept } };
}

const at = (sql, now) => sql.replaceAll('{now}', String(now));
const wallMs = () => Number(process.hrtime.bigint()) / 1e6;
function cpuMs() {
  const used = process.resourceUsage();
  return (used.userCPUTime + used.systemCPUTime) / 1000;
}
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
const report = (figure) => console.log(JSON.stringify(figure));

// node PEER.js EVENTS.csv PEOPLE.csv FOLDER TAIL BATCH BATCHES SECONDS RUNS
function settings() {
  const [events, people, folder, ...numbers] = process.argv.slice(2);
  const [tail, batch, batches, seconds, runs] = numbers.map(Number);
  return { events, people, folder, tail, batch, batches, seconds, runs };
}

// Each statement first once (cold), then `runs` times; run(sql) gives the members, count(sql) [members, sum].
async function fromScratch(sql, { runs }, run, count) {
  for (const segment of SEGMENTS) {
    const text = at(sql[segment], END);
    let before = wallMs();
    await run(text);
    const cold = wallMs() - before;
    const wall = [];
    const used = cpuMs();
    for (let i = 0; i < runs; ++i) {
      before = wallMs();
      await run(text);
      wall.push(wallMs() - before);
    }
    report({ what: 'scratch', segment, cold_ms: cold, ms: median(wall), cpu_ms: (cpuMs() - used) / runs });
    const [members, sum] = await count(text);
    report({ what: 'members', segment, members, sum });
  }
}

// append(first, last) brings events of these numbers in and returns the time of the last; then all seven are
// asked for at that time. Ends after so many batches, or seconds.
async function keptFresh(sql, { tail, batch, batches, seconds }, first, append, run) {
  const wall = [];
  let events = 0;
  const used = cpuMs();
  const begin = wallMs();
  while (wall.length < batches && events + batch <= tail && wallMs() - begin < seconds * 1000) {
    const { before, now } = await append(first + events, first + events + batch - 1);
    for (const segment of SEGMENTS) await run(at(sql[segment], now));
    wall.push(wallMs() - before);
    events += batch;
  }
  if (wall.length === 0) return;
  const all = wall.reduce((a, b) => a + b, 0);
  report({
    what: 'fresh', batch, batches: wall.length, p50_ms: median(wall), max_ms: Math.max(...wall),
    events_per_s: events / all * 1000, events_per_cpu_s: events / (cpuMs() - used) * 1000,
  });
}

module.exports = { SEGMENTS, END, statements, at, wallMs, cpuMs, median, report, settings, fromScratch, keptFresh };
