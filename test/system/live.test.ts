import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EventClient } from '../support/event-client.ts';
import { HttpClient } from '../support/http-client.ts';
import { findPgbouncer, Pooler } from '../support/pooler.ts';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { skipUnless } from '../support/requirements.ts';
import { asAdmin, createPostgresDatabase, POSTGRES_URL, SECRET, signToken } from '../support/service.ts';

const PGBOUNCER = findPgbouncer();
const WRITES = 7;
/** Of processes, by the locks that they hold. */
const LISTENERS = `select pid from pg_locks where locktype = 'advisory' and classid = 1723405911`;
/** Two notifications to oneself, 5 s apart. */
const PROVEN_AFTER_MS = 12_000;

const isThere = skipUnless(POSTGRES_URL !== null, 'POSTGRES', 'TEST_DATABASE_URL is not set');
const hasPooler = isThere || skipUnless(PGBOUNCER !== null, 'PGBOUNCER', 'pgbouncer is not installed');

for (const [title, skip, through] of [
  ['two processes on PostgreSQL', isThere, 'server'],
  ['two processes behind PgBouncer in transaction mode', hasPooler, 'pooler'],
] as const) {
  describe(title, { skip }, () => {
    const folder = temporaryFolder();
    const running: RunningService[] = [];
    const origins: string[] = [];
    let place = '';
    let remove = async () => {};

    before(async () => {
      if (POSTGRES_URL === null) return;
      const created = await createPostgresDatabase(POSTGRES_URL);
      place = created.url;
      let url = created.url;
      remove = created.remove;
      if (through === 'pooler' && PGBOUNCER !== null) {
        const pooler = await Pooler.create(PGBOUNCER, new URL(created.url));
        url = pooler.url;
        remove = async () => {
          await pooler.remove();
          await created.remove();
        };
      }
      const settings = { DATABASE_URL: url, JWT_SECRET: new TextDecoder().decode(SECRET), ENVIRONMENT: 'production' };
      for (let count = 0; count < 2; count += 1) {
        const service = new RunningService({ ...settings, HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' }, folder.path);
        running.push(service);
        origins.push(await service.listening());
      }
    });
    after(async () => {
      await Promise.all(running.map((service) => service.stop()));
      await remove();
      folder.remove();
    });

    test('a stream of one shows what is written through the other within a second, each change once', async () => {
      const [one = '', other = ''] = origins;
      const token = await signToken('watched');
      const client = await EventClient.open(one, token);
      await client.synced();
      const writer = new HttpClient(other, token);
      const took: number[] = [];
      for (let count = 1; count <= WRITES; count += 1) {
        await writer.create(`${count}`);
        const written = performance.now();
        await client.until(({ changes }) => changes.length === count);
        took.push(performance.now() - written);
      }
      client.close();
      assert.deepEqual(
        client.changes.map(({ task }) => task?.title),
        Array.from({ length: WRITES }, (_, index) => `${index + 1}`),
      );
      const [median = Number.NaN] = took.toSorted((a, b) => a - b).slice(Math.floor(WRITES / 2));
      assert.ok(median < 1_000, `took ${took.map(Math.round)} ms`);
    });

    test('notifications are used where they come, and nowhere else; none is needed', async () => {
      const [one = '', other = ''] = origins;
      const token = await signToken('notified');
      const listeners = async () => (await asAdmin(place, LISTENERS)).rows.length;
      const client = await EventClient.open(one, token);
      await client.synced();
      if (through === 'server') while ((await listeners()) === 0) await delay(50);
      await delay(PROVEN_AFTER_MS);
      assert.equal(await listeners(), through === 'server' ? 1 : 0);
      const writer = new HttpClient(other, token);
      const took: number[] = [];
      for (let count = 1; count <= WRITES; count += 1) {
        await writer.create(`${count}`);
        const written = performance.now();
        await client.until(({ changes }) => changes.length === count);
        took.push(performance.now() - written);
      }
      const [median = Number.NaN] = took.toSorted((a, b) => a - b).slice(Math.floor(WRITES / 2));
      assert.ok(median < 1_000, `took ${took.map(Math.round)} ms`);
      await asAdmin(place, `select pg_terminate_backend(pid) from (${LISTENERS}) as listeners`);
      await writer.create('unheard');
      await client.until(({ changes }) => changes.length === WRITES + 1);
      client.close();
      while ((await listeners()) > 0) await delay(50);
    });

    test('nor does a long transaction of somebody else on the same server keep it from being seen', async () => {
      const [one = '', other = ''] = origins;
      const token = await signToken('patient');
      const held = asAdmin(place, 'begin; select txid_current(); select pg_sleep(5); commit');
      const client = await EventClient.open(one, token);
      await client.synced();
      await new HttpClient(other, token).create('meanwhile');
      const first = await Promise.race([
        client.until(({ changes }) => changes.length === 1).then(() => 'seen'),
        held.then(() => 'held'),
      ]);
      assert.equal(first, 'seen');
      client.close();
      await held;
    });

    test('a process that is asked to stop tells its streams, and they go on at the other without a gap', async () => {
      const [one = '', other = ''] = origins;
      const token = await signToken('moving');
      const client = await EventClient.open(other, token);
      await client.synced();
      const writer = new HttpClient(one, token);
      await writer.create('before');
      await client.until(({ changes }) => changes.length === 1);
      const stopping = performance.now();
      const exited = running[1]?.stop();
      assert.deepEqual(JSON.parse((await client.ended()) ?? ''), { reason: 'shutting_down', cursor: client.lastId });
      await writer.create('between');
      assert.equal(await exited, 0);
      assert.ok(performance.now() - stopping < 8_000, 'the stop waited for the streams');
      const resumed = await EventClient.open(one, token, { lastId: client.lastId });
      await resumed.synced();
      assert.deepEqual(
        resumed.changes.map(({ task }) => task?.title),
        ['between'],
      );
      resumed.close();
    });
  });
}
