// A fresh process that loads a bundle and, where asked to, calls its handler once. It tells its time on descriptor 3:
// what the bundle itself prints goes elsewhere.
const { subscribe } = require('node:diagnostics_channel');
const { writeSync } = require('node:fs');
const [index, rest, event] = process.argv.slice(2);

const started = performance.now();
const milliseconds = () => performance.now() - started;

async function run() {
  // Both parties go through Node's own client, which tells when an answer comes.
  let answered;
  subscribe('http.client.response.finish', ({ response }) => {
    response.once('end', () => (answered ??= milliseconds()));
  });
  const { handler } = require(index);
  let outcome = 'loaded';
  if (event !== undefined) {
    outcome = await handler(JSON.parse(event)).then(
      () => 'answered',
      (error) => error.name,
    );
  }
  const files = JSON.parse(rest);
  for (const file of files) require(file);
  const ms = event === undefined || files.length > 0 ? milliseconds() : answered;
  writeSync(3, JSON.stringify({ ms, outcome }));
  process.exit();
}

void run();
