import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { onEachDatabase, type Task } from './support/service.ts';

const codePoints = (text: string) => [...text].length;
/** Any code units, lone surrogates and NUL included, and lengths around the limits. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc
    .array(
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      { maxLength: 6 },
    )
    .map((units) => units.join('')),
  fc
    .tuple(fc.constantFrom('x', '😀', 'é', ' ', '\u3000'), fc.constantFrom(1, 199, 200, 201, 1999, 2000, 2001))
    .map(([unit, times]) => unit.repeat(times)),
);

const storable = (text: string) => text.isWellFormed() && !text.includes('\0');

onEachDatabase('any text', (service) => {
  test('a title or description is either rejected with 400 or returned trimmed and otherwise unchanged', async () => {
    const person = await service().person();
    await fc.assert(
      fc.asyncProperty(anyText, fc.option(anyText), async (title, description) => {
        const answer = await person.send('POST', '/api/tasks', { title, description });
        const titleFits = title.trim() !== '' && codePoints(title.trim()) <= 200 && storable(title.trim());
        const text = description?.trim() ?? '';
        const fits = titleFits && codePoints(text) <= 2000 && storable(text);
        assert.equal(answer.statusCode, fits ? 201 : 400, answer.body);
        if (!fits) {
          assert.equal(answer.json<{ code: string }>().code, 'VALIDATION_ERROR');
          return;
        }
        const task = answer.json<Task>();
        assert.equal(task.title, title.trim());
        assert.equal(task.description, text === '' ? null : text);
        const fetched = await person.send('GET', `/api/tasks/${task.id}`);
        assert.equal(fetched.body, answer.body);
        const echoed = await person.send('PUT', `/api/tasks/${task.id}`, task);
        assert.deepEqual({ ...echoed.json<Task>(), updated_at: '' }, { ...task, updated_at: '' });
      }),
      { numRuns: 200 },
    );
  });
});
