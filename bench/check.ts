import { BIG_LIST, BIG_USER, TASKS_EACH, taskId, tokenOf, userId } from './data.ts';

const FIELDS = ['created_at', 'description', 'id', 'is_completed', 'title', 'updated_at', 'user_id'];

/** @throws unless `value` is a task of `user` with exactly the fields of the contract. */
function expectTask(value: unknown, user: number): void {
  if (typeof value !== 'object' || value === null) throw new Error('The answer is no task');
  if (Object.keys(value).sort().join() !== FIELDS.join()) throw new Error(`The task has ${Object.keys(value).join()}`);
  if (!('user_id' in value) || value.user_id !== userId(user)) throw new Error("The task is somebody else's");
}

function expectList(value: unknown, user: number, length: number): void {
  const tasks = typeof value === 'object' && value !== null && 'tasks' in value ? value.tasks : null;
  if (!Array.isArray(tasks) || tasks.length !== length) throw new Error(`The answer is no list of ${length}`);
  for (const task of tasks) expectTask(task, user);
  const times = tasks.map((task: { created_at: string }) => Date.parse(task.created_at));
  if (times.some((time, index) => time > (times[index - 1] ?? time))) throw new Error('The list is not newest first');
}

/** Sends each kind of request once, and some that must fail. @throws where the server at `port` does not do the same work as all. */
export async function checkAnswers(port: number, secret: string): Promise<void> {
  async function ask(user: number, status: number, method: string, path: string, body?: object, token?: string) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token ?? tokenOf(user, secret)}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== status) {
      throw new Error(
        `${method} ${path} was answered ${response.status} where ${status} is due: ${text.slice(0, 200)}`,
      );
    }
    return text;
  }
  const expectsTask = async (user: number, answer: Promise<string>) => expectTask(JSON.parse(await answer), user);
  const [user, other] = [0, 1];
  const own = `/api/tasks/${taskId(user, 1)}`;

  expectList(JSON.parse(await ask(user, 200, 'GET', '/api/tasks')), user, TASKS_EACH);
  expectList(JSON.parse(await ask(BIG_USER, 200, 'GET', '/api/tasks')), BIG_USER, BIG_LIST);
  await expectsTask(user, ask(user, 200, 'GET', own));
  await expectsTask(user, ask(user, 200, 'PUT', own, { title: 'Buy oat milk' }));
  await expectsTask(user, ask(user, 200, 'POST', `${own}/toggle`));
  await expectsTask(other, ask(other, 201, 'POST', '/api/tasks', { title: 'Created by the load' }));

  await ask(other, 404, 'GET', own);
  await ask(other, 404, 'POST', `${own}/toggle`);
  await ask(other, 404, 'PUT', own, { title: 'Taken' });
  await ask(user, 401, 'GET', '/api/tasks', undefined, tokenOf(user, `${secret} but wrong`));
}
