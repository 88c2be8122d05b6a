// Answers every request at once as DynamoDB does for an item that isn't there, in a process of its own so that nothing
// else delays it. Says its port on a line, and ends with its parent.
const { createServer } = require('node:net');

const ANSWER =
  'HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n{}';
let calls = 0;

const server = createServer((socket) => {
  socket.setNoDelay(true).on('error', () => {});
  socket.on('data', (chunk) => {
    if (!chunk.includes('DynamoDB_20120810.GetItem')) return;
    calls++;
    socket.write(ANSWER);
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin
  .resume()
  .on('end', () => {
    process.stdout.write(`${calls}\n`, () => process.exit());
  })
  .on('error', () => process.exit());
