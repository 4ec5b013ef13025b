// A tiny web server for a first service: it says which replica answers and where that runs.
import { createServer } from 'node:http';

const port = Number(process.env.PORT ?? 8080);
const greeting = { service: process.env.SERVICE, task: process.env.TASK, node: process.env.NODE };

const server = createServer((request, response) => {
  process.stdout.write(`${request.method} ${request.url}\n`);
  response.setHeader('Content-Type', 'application/json');
  response.end(`${JSON.stringify({ hello: 'world', ...greeting, served: new Date().toISOString() })}\n`);
});

server.listen(port, '127.0.0.1', () => process.stdout.write(`listening on port ${port}\n`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
