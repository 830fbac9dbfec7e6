import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Service, startService } from './support/service.ts';
import { exchange, listen, open, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const FLOOD = 1_000;

let service: Service;
let port: number;
before(async () => {
  service = await startService(stubDatabase());
  port = await listen(service.app);
});
after(() => service.close());

test('a new token is verified in its turn, however many invalid ones another connection has sent before', async () => {
  const { token } = await service.person();
  const [header, payload] = token.split('.');
  const requests = Array.from({ length: FLOOD }, (_, index) => {
    const signature = Buffer.alloc(32, `${index}`).toString('base64url');
    return wire('GET', '/api/tasks', { Authorization: `Bearer ${header}.${payload}.${signature}` });
  });
  const flooding = await open(port);
  flooding.on('error', () => undefined);
  let refused = 0;
  const all = new Promise<void>((resolve) => {
    flooding.on('data', (bytes: Buffer) => {
      refused += bytes.toString('latin1').split('HTTP/1.1 401').length - 1;
      if (refused === FLOOD) resolve();
    });
  });
  flooding.write(requests.join(''));
  const [answer] = await exchange(
    port,
    wire('GET', '/api/tasks', { Authorization: `Bearer ${token}`, Connection: 'close' }),
  );
  assert.equal(answer?.statusCode, 200);
  assert.ok(refused < FLOOD / 2, `${refused} were refused before`);
  await all;
  flooding.destroy();
});

test('requests with one new token at the same time are all answered', async () => {
  const person = await service.person();
  const answers = await Promise.all(Array.from({ length: 100 }, () => person.send('GET', '/api/tasks')));
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200]);
});
